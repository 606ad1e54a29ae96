import type { Tone } from '../../../../common/explain/line.ts';
import type { Present } from '../../../../common/explain/present.ts';

export type Painter = (tone: Tone, text: string) => string;

/** What is not as it should be of a droplet, each in a few words with what happens next; empty: all is well. */
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
      .map(({ instance, text }) => `index ${instance.index} on ${instance.dea} besides, ${text}`),
  ];
}
