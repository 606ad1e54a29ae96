import type { Area } from '../mutant.ts';

/** What each hold covers. */
export const HOLDS: Area = {
  name: 'policy: holds',
  tests: ['common/policy', 'analyzer/decide', 'ingest/heartbeats/claims'],
  mutants: [
    {
      name: 'an instance is stopped for its version or index although all data is new',
      file: 'policy/fleet/holds.ts',
      from: "if (BY_IDENTITY.has(reason) && isNewData(snapshot)) return 'actual_not_fresh';",
      to: '',
    },
    {
      name: 'what ended before all data was lost is started again',
      file: 'policy/fleet/holds.ts',
      from: "if (reason !== 'missing' && mayBeReplaced(snapshot, index)) return 'actual_not_fresh';",
      to: '',
    },
    {
      name: 'a record that was begun anew after its DEAs were last heard is started under mass_loss',
      file: 'policy/fleet/holds.ts',
      from: "if (reason === 'missing' && mayLackLateDeas(snapshot)) return 'mass_loss';",
      to: '',
    },
    {
      name: 'mass_loss holds back new apps',
      file: 'policy/fleet/holds.ts',
      from: 'if (isNewApp) return false;',
      to: '',
    },
    {
      name: 'what the first DEA lists of a lost record is believed at once',
      file: 'slots/surplus.ts',
      from: 'if (mayLackInstances(snapshot) || isContested(instance, deas)) return undefined;',
      to: 'if (isContested(instance, deas)) return undefined;',
    },
    {
      name: 'a lost record of an app that was just scaled counts as new',
      file: 'policy/fleet/holds.ts',
      from: 'rebuiltMs === undefined && desired',
      to: 'desired',
    },
    {
      name: 'update_required holds back nothing',
      file: 'policy/fleet/holds.ts',
      from: 'return unknownVersionSinceMs !== undefined || isUpdateUnread(droplet, holds);',
      to: 'return unknownVersionSinceMs !== undefined;',
    },
    {
      name: 'a version that no pass has brought is no reason to wait',
      file: 'policy/fleet/holds.ts',
      from: 'return unknownVersionSinceMs !== undefined || isUpdateUnread(droplet, holds);',
      to: 'return isUpdateUnread(droplet, holds);',
    },
    {
      name: 'a pass that began before the update ends update_required',
      file: 'policy/fleet/holds.ts',
      from: 'return holds.lastPassBegunMs === undefined || holds.lastPassBegunMs <= updatedMs;',
      to: 'return holds.lastPassBegunMs === undefined;',
    },
    {
      name: 'an operator cannot hold starts',
      file: 'policy/fleet/holds.ts',
      from: "if (operatorHoldOnStart(snapshot, index) !== undefined) return 'operator';",
      to: '',
    },
    {
      name: 'an operator cannot hold stops',
      file: 'policy/fleet/holds.ts',
      from: "if (operatorHoldOnStop(snapshot, instance) !== undefined) return 'operator';",
      to: '',
    },
    {
      name: 'missing starts ignore desired_unavailable',
      file: 'policy/fleet/holds.ts',
      from: "if (reason === 'missing' && holds.desiredUnavailable) return 'desired_unavailable';",
      to: '',
    },
    {
      name: 'stops ignore desired_unavailable',
      file: 'policy/fleet/holds.ts',
      from: "if (holds.desiredUnavailable) return 'desired_unavailable';",
      to: '',
    },
    {
      name: 'starts ignore actual_not_fresh',
      file: 'policy/fleet/holds.ts',
      from: "if (holds.actualNotFresh && (reason === 'missing' || silent.length > 0)) return 'actual_not_fresh';",
      to: '',
    },
    {
      name: 'starts ignore heartbeats that are not stored',
      file: 'policy/fleet/holds.ts',
      from: "if (silent.some((instance) => mayHaveUnstoredHeartbeat(snapshot, instance))) return 'actual_not_fresh';",
      to: '',
    },
    {
      name: 'starts ignore mass_loss',
      file: 'policy/fleet/holds.ts',
      from: "if (silent.some((instance) => isMassLoss(snapshot, instance))) return 'mass_loss';",
      to: '',
    },
    {
      name: 'starts do not wait for the evaluation of mass_loss',
      file: 'policy/fleet/holds.ts',
      from: "return silent.some((instance) => mayBeMassLoss(snapshot, instance)) ? 'evaluating' : undefined;",
      to: 'return undefined;',
    },
    {
      name: 'before the first evaluation a loss is no mass_loss',
      file: 'policy/fleet/holds.ts',
      from: 'if (evaluated === undefined) return true;',
      to: 'if (evaluated === undefined) return false;',
    },
    {
      name: 'duplicate stops ignore actual_not_fresh',
      file: 'policy/fleet/holds.ts',
      from: "if (reason === 'duplicate') return holds.actualNotFresh ? 'actual_not_fresh' : undefined;",
      to: "if (reason === 'duplicate') return undefined;",
    },
    {
      name: 'stops of extra apps ignore mass_delete',
      file: 'policy/fleet/holds.ts',
      from: "return reason === 'extra_app' && holds.massDelete ? 'mass_delete' : undefined;",
      to: 'return undefined;',
    },
    {
      name: 'a DEA under mass_loss counts as lost for claims',
      file: 'policy/fleet/holds.ts',
      from: 'if (evaluatedMs === undefined || massLossDeas.has(dea)) return false;',
      to: 'if (evaluatedMs === undefined) return false;',
    },
    {
      name: 'a hold on stops holds starts',
      file: 'fleet/operator-hold.ts',
      from: "if (covers === 'stops') return false;",
      to: '',
    },
    {
      name: 'a hold on starts holds stops',
      file: 'fleet/operator-hold.ts',
      from: "if (covers === 'starts') return false;",
      to: '',
    },
    {
      name: 'an operator hold of one droplet holds all',
      file: 'fleet/operator-hold.ts',
      from: 'if (droplet !== undefined) return droplet === id;',
      to: '',
    },
  ],
};
