/** For the tests of alerts and dashboards: verifies that a PromQL expression uses only existing metrics and labels. */
import { expect } from 'vitest';
import { DEA_STATES } from '../../../common/model/dea-states.ts';
import { PROCESS_KINDS } from '../../../common/model/process-kinds.ts';
import { HOLD_NAMES } from '../../../common/model/reasons.ts';
import { TOTALS } from '../../../common/redis/fleet/summary.ts';
import { labelsOf, metricsOfAll } from '../../docs/metrics.ts';
import { PROCESS_NAMES } from '../../run/launcher/child.ts';

/** The name of a series; that of a histogram ends with `_bucket`, `_sum` or `_count`. */
const METRIC = /\b(?:hm|process)_[a-z0-9_]+/g;
const SELECTOR = /\b((?:hm|process)_[a-z0-9_]+)\{([^}]*)\}/g;
const MATCHER = /([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g;
const GROUPING = /\b(?:by|without)\s*\(([^)]*)\)/g;
/** Prometheus adds these labels to every series. */
const COMMON_LABELS = ['process', 'instance', 'job'];

/** The labels of each series, by name. */
const SERIES = new Map(
  metricsOfAll().flatMap((metric): [string, string[]][] => {
    const labels = [...labelsOf(metric), ...COMMON_LABELS];
    if (String(metric.type) !== 'histogram') return [[metric.name, labels]];
    return [
      [`${metric.name}_bucket`, [...labels, 'le']],
      [`${metric.name}_sum`, labels],
      [`${metric.name}_count`, labels],
    ];
  }),
);

/** The values of a label, for all metrics or for one metric. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  process: PROCESS_NAMES,
  hold: HOLD_NAMES,
  queue: ['starts', 'restarts', 'stops', 'slices', 'sync'],
  'hm_queue_length state': ['waiting', 'delayed', 'active'],
  'hm_deas state': DEA_STATES,
  'hm_processes kind': PROCESS_KINDS,
  'hm_fleet what': TOTALS,
};

/**
 * Expects that all metrics, labels and label values of a PromQL expression exist.
 *
 * @returns the names of its series
 */
export function expectKnown(expr: string, where: string): string[] {
  // Quoted text is the value of a label.
  const bare = expr.replaceAll(/"[^"]*"/g, '""');
  const metrics = bare.replaceAll(GROUPING, '').match(METRIC) ?? [];
  for (const metric of metrics) expect([...SERIES.keys()], where).toContain(metric);
  for (const [, metric = '', matchers = ''] of expr.matchAll(SELECTOR)) {
    for (const [, label = '', value = ''] of matchers.matchAll(MATCHER)) {
      expect(SERIES.get(metric), `${where}: ${metric}`).toContain(label);
      const values = VALUES[`${metric} ${label}`] ?? VALUES[label];
      if (values !== undefined)
        expect(values, `${where}: ${label}`).toEqual(expect.arrayContaining(value.split('|')));
    }
  }
  const labels = metrics.flatMap((metric) => SERIES.get(metric) ?? []);
  for (const [, grouped = ''] of bare.matchAll(GROUPING)) {
    for (const label of grouped.split(',')) expect(labels, where).toContain(label.trim());
  }
  return metrics;
}
