import type { Present } from '../../../../common/explain/present/present.ts';
import type { Tone } from '../../../../common/explain/sentences/line.ts';

export type Painter = (tone: Tone, text: string) => string;

/** The problems of a droplet, each with what happens next; empty when there is none. */
export function troubleOf({ slots, others }: Present, paint: Painter): string[] {
  return [
    ...slots
      .filter(({ tone }) => tone !== 'good')
      .map(
        ({ index, state, text, tone }) =>
          `index ${index} ${paint(tone, state)}${text === '' ? '' : `, ${text}`}`,
      ),
    ...others
      .filter(({ tone }) => tone !== 'plain')
      .map(({ instance, text }) => `another instance of index ${instance.index} on ${instance.dea}, ${text}`),
  ];
}
