import { createContext } from 'preact';

/** Whether the login may act. Without it no button that acts is shown, because the server would refuse the act. */
export const MayAct = createContext(false);
