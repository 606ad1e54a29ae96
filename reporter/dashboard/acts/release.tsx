/** Releases `mass_loss` or `mass_delete`, after a dialog with what that does in numbers. */
import { useState } from 'preact/hooks';
import { ActButton } from './act-button.tsx';
import { post } from './post.ts';

export function Release({ hold }: { hold: string }) {
  const path = `holds/${hold}/release`;
  const [text, setText] = useState('');
  const load = async () => {
    setText('Counting what it does.');
    try {
      const reply = await fetch(`api/${path}`);
      setText(reply.ok ? ((await reply.json()) as { text: string }).text : `HTTP ${reply.status}`);
    } catch {
      setText('The reporter does not answer, so it is not known what a release does.');
    }
  };
  const when = hold === 'mass_delete' ? 'ends with the next bulk pass' : 'ends within a second';
  return (
    <ActButton
      label={`Release ${hold}`}
      act={() => post(path)}
      done={`release requested: the hold ${when}`}
      onOpen={() => void load()}
      isSerious
    >
      <p>{text}</p>
    </ActButton>
  );
}
