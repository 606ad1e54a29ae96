import { countText } from '../../../common/explain/wording.ts';
import type { DeaCell, DeaState } from '../../api/types.ts';

export const STATE_TEXT: Record<DeaState, string> = {
  alive: 'alive',
  late: 'late',
  lost: 'lost',
  leaving: 'leaving',
  left: 'left',
};

export function describe([dea, state, instances]: DeaCell): string {
  return `${dea}: ${STATE_TEXT[state]}, ${countText(instances, 'instance')}`;
}

export function summaryOf(cells: readonly DeaCell[]): string {
  if (cells.length === 0) return 'No DEA is known.';
  const of = (state: DeaState) => cells.filter((cell) => cell[1] === state).length;
  const rest = (['lost', 'late', 'leaving', 'left'] as const)
    .map((state) => [of(state), STATE_TEXT[state]] as const)
    .filter(([n]) => n > 0)
    .map(([n, text]) => `, ${n} ${text}`);
  // One that has left is no longer expected.
  return `${of('alive')} of ${countText(cells.length - of('left'), 'DEA')} alive${rest.join('')}.`;
}
