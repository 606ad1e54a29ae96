/** A button that acts after a dialog; nothing for a login that may not act. The dialog's button names the act; after a success both are disabled. */
import type { ComponentChildren } from 'preact';
import { useContext, useRef, useState } from 'preact/hooks';
import { MayAct } from './may-act.ts';
import type { Sent } from './post.ts';

export interface ActButtonProps {
  /** Names the act: on the button, and on that of the dialog. */
  label: string;
  /** The consequences, or the fields to fill in. */
  children: ComponentChildren;
  act(): Promise<Sent>;
  /** Shown once it is done. */
  done: string;
  /** Called when the dialog opens. */
  onOpen?: () => void;
  /** The act cannot be undone, or stops something. */
  isSerious?: boolean;
  /** It may be done again after a success. */
  isRepeatable?: boolean;
}

type Status = 'idle' | 'acting' | 'done';

export function ActButton(props: ActButtonProps) {
  const { label, children, act, done, onOpen, isSerious = false, isRepeatable = false } = props;
  const mayAct = useContext(MayAct);
  const dialog = useRef<HTMLDialogElement>(null);
  const [status, setStatus] = useState<Status>('idle');
  const [text, setText] = useState('');
  const open = () => {
    onOpen?.();
    dialog.current?.showModal();
  };
  const run = async () => {
    setStatus('acting');
    const { ok, problem } = await act();
    dialog.current?.close();
    setText(ok ? done : `not done: ${problem}`);
    setStatus(ok && !isRepeatable ? 'done' : 'idle');
  };
  if (!mayAct) return null;
  return (
    <div class="act">
      <span role="status">{text}</span>
      <button type="button" disabled={status !== 'idle'} onClick={open}>
        {label}
      </button>
      <dialog ref={dialog} aria-label={label}>
        {children}
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button
            type="button"
            class={isSerious ? 'primary' : 'confirm'}
            disabled={status !== 'idle'}
            onClick={() => void run()}
          >
            {label}
          </button>
        </div>
      </dialog>
    </div>
  );
}
