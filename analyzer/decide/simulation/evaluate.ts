import type { Droplet, Holds } from '../../../common/model/droplet.ts';
import type { Deas } from '../../../common/policy/fleet/liveness.ts';
import { deas, holds, NOW, SETTINGS } from '../../../common/testing/builders.ts';
import { type DecisionResult, decide } from '../decide.ts';

/** What differs from a quiet fleet at `NOW`. */
export interface Conditions {
  deas?: Deas;
  holds?: Partial<Holds>;
  nowMs?: number;
}

/** Decides about the droplet under these conditions. */
export function evaluate(d: Droplet, conditions: Conditions = {}): DecisionResult {
  return decide(d, conditions.deas ?? deas(), holds(conditions.holds), conditions.nowMs ?? NOW, SETTINGS);
}

/** `reason index priority` of each start decided. */
export const starts = (d: Droplet, conditions: Conditions = {}): string[] =>
  evaluate(d, conditions).decisions.flatMap((x) =>
    x.kind === 'start' ? [`${x.reason} ${x.index} ${x.priority}`] : [],
  );

/** `reason instance` of each stop decided. */
export const stops = (d: Droplet, conditions: Conditions = {}): string[] =>
  evaluate(d, conditions).decisions.flatMap((x) => (x.kind === 'stop' ? [`${x.reason} ${x.instance}`] : []));

/** The kind of each decision. */
export const kinds = ({ decisions }: DecisionResult): string[] => decisions.map(({ kind }) => kind);

/** `kind reason hold` of each decision. */
export function answers(d: Droplet, on: Partial<Holds>, liveness = deas()): string[] {
  return answersUnder(d, holds(on), liveness);
}

/** The same under exactly these holds. */
export function answersUnder(d: Droplet, on: Holds, liveness: Deas): string[] {
  return decide(d, liveness, on, NOW, SETTINGS).decisions.map((x) =>
    [x.kind, 'reason' in x ? x.reason : '', x.kind === 'held' ? x.hold : ''].join(' ').trim(),
  );
}
