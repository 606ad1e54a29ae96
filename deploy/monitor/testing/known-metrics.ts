/** For tests of what looks at our metrics: that all that it names is there. */
import { expect } from 'vitest';
import { HOLD_NAMES } from '../../../common/model/reasons.ts';
import { TOTALS } from '../../../common/redis/summary.ts';
import { labelsOf, metricsOfAll } from '../../docs/metrics.ts';
import { PROCESS_NAMES } from '../../run/launcher/child.ts';

/** A metric as it stands in an expression: with `_bucket`, `_sum` or `_count` of a histogram. */
const METRIC = /\b(?:hm|process)_[a-z0-9_]+/g;
const SELECTOR = /\b((?:hm|process)_[a-z0-9_]+)\{([^}]*)\}/g;
const MATCHER = /([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g;
const GROUPING = /\b(?:by|without)\s*\(([^)]*)\)/g;
/** Prometheus puts these to every series that it scrapes. */
const OF_ALL = ['process', 'instance', 'job'];

/** The labels of every name that a series can have. */
const SERIES = new Map(
  metricsOfAll().flatMap((metric): [string, string[]][] => {
    const labels = [...labelsOf(metric), ...OF_ALL];
    if (String(metric.type) !== 'histogram') return [[metric.name, labels]];
    return [
      [`${metric.name}_bucket`, [...labels, 'le']],
      [`${metric.name}_sum`, labels],
      [`${metric.name}_count`, labels],
    ];
  }),
);

/** Values of the labels that have the same ones everywhere, or of one metric. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  process: PROCESS_NAMES,
  hold: HOLD_NAMES,
  queue: ['starts', 'restarts', 'stops', 'slices', 'sync'],
  'hm_queue_length state': ['waiting', 'delayed', 'active'],
  'hm_deas state': ['alive', 'late', 'lost'],
  'hm_fleet what': TOTALS,
};

/**
 * Expects that every metric and label that a PromQL expression names is there.
 *
 * @returns the metrics that it names
 */
export function expectKnown(expr: string, where: string): string[] {
  // What stands in quotes is a label's value.
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
