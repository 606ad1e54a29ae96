import { Counter, Gauge, type Registry } from 'prom-client';
import type { TotalName } from '../../common/redis/fleet/summary.ts';
import { singleFlight } from '../../common/runtime/tasks/single-flight.ts';
import type { Fleet } from '../../common/views/fleet.ts';

const MB = 2 ** 20;

/** Totals that depend on heartbeats. */
const OF_ACTUAL_STATE: ReadonlySet<string> = new Set<TotalName>([
  'running',
  'missing',
  'flapping',
  'unplaced',
  'live_droplets',
]);

type Row = [labels: Record<string, string>, value: number];

/**
 * Gauges of the fleet, read from Redis at each scrape. Every reporter exports the same values.
 *
 * @param read resolves to undefined if Redis does not answer; the gauges then have no values
 */
export function fleetMetrics(registry: Registry, read: () => Promise<Fleet | undefined>): void {
  // All gauges of one scrape share one read.
  const readOnce = singleFlight(read);
  const gauge = (name: string, help: string, labelNames: string[], rows: (fleet: Fleet) => Row[]) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const fleet = await readOnce();
        this.reset();
        for (const [labels, value] of fleet === undefined ? [] : rows(fleet)) this.set(labels, value);
      },
    });

  gauge(
    'hm_fleet',
    'Counts of apps, instances and their states; what runs and what is missing is absent while it is not known',
    ['what'],
    ({ totals, unknown }) => {
      const { memory_mb: _, started_memory_mb: __, ...counts } = totals;
      return Object.entries(counts)
        .filter(([what]) => unknown === undefined || !OF_ACTUAL_STATE.has(what))
        .map(([what, value]) => [{ what }, value]);
    },
  );
  gauge('hm_fleet_memory_bytes', 'Memory of all instances that the apps want', ['apps'], ({ totals }) => [
    [{ apps: 'all' }, totals.memory_mb * MB],
    [{ apps: 'started' }, totals.started_memory_mb * MB],
  ]);
  gauge('hm_hold_on', '1 while the hold is on', ['hold'], ({ holds }) =>
    holds.map(({ hold, on }) => [{ hold }, on ? 1 : 0]),
  );
  gauge(
    'hm_hold_since_timestamp_seconds',
    'Time since when the hold is on; absent if it is off or the time is not known',
    ['hold'],
    ({ holds }) =>
      holds.flatMap(({ hold, sinceMs }): Row[] =>
        sinceMs === undefined ? [] : [[{ hold }, sinceMs / 1000]],
      ),
  );
  gauge('hm_hold_droplets', 'Droplets with a start or stop that the hold prevents', ['hold'], ({ holds }) =>
    holds.map(({ hold, droplets }) => [{ hold }, droplets]),
  );
  gauge(
    'hm_deas',
    'DEAs by state: alive, late, lost; leaving (sent dea.shutdown), left (gone after it). Absent while it is not known what runs',
    ['state'],
    ({ deas, unknown }) =>
      unknown === undefined ? Object.entries(deas).map(([state, value]) => [{ state }, value]) : [],
  );
  gauge(
    'hm_processes',
    'Copies of each kind of process that run and are connected to all that they need',
    ['kind'],
    ({ processes }) => processes.kinds.map(({ kind, working }) => [{ kind }, working]),
  );
  gauge(
    'hm_process_versions',
    'Different versions of the health manager that run; more than 1 during an upgrade',
    [],
    ({ processes }) => [[{}, processes.versions.length]],
  );
  new Counter({
    name: 'hm_deployment_messages_total',
    help: 'Messages received and sent by all processes since the Redis keys were created',
    labelNames: ['what'],
    registers: [registry],
    async collect() {
      const fleet = await readOnce();
      this.reset();
      for (const [what, count] of Object.entries(fleet?.counters ?? {})) this.inc({ what }, count);
    },
  });
}
