import { Counter, Gauge, type Registry } from 'prom-client';
import type { Fleet } from '../../common/views/fleet.ts';

const MB = 2 ** 20;

type Row = [labels: Record<string, string>, value: number];

/**
 * Gauges of the fleet, read when they are scraped. Every reporter gives the same ones.
 *
 * @param read the fleet; `undefined` where it is not to be had now: then the gauges have no values
 */
export function fleetMetrics(registry: Registry, read: () => Promise<Fleet | undefined>): void {
  let reading: Promise<Fleet | undefined> | undefined;
  // All gauges of one scrape ask at once.
  const once = () => {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  };
  const gauge = (name: string, help: string, labelNames: string[], rows: (fleet: Fleet) => Row[]) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      async collect() {
        const fleet = await once();
        this.reset();
        for (const [labels, value] of fleet === undefined ? [] : rows(fleet)) this.set(labels, value);
      },
    });

  gauge('hm_fleet', 'The fleet as the latest audits counted it', ['what'], ({ totals }) => {
    const { memory_mb: _, started_memory_mb: __, ...counts } = totals;
    return Object.entries(counts).map(([what, value]) => [{ what }, value]);
  });
  gauge('hm_fleet_memory_bytes', 'Memory of all instances that apps ask for', ['apps'], ({ totals }) => [
    [{ apps: 'all' }, totals.memory_mb * MB],
    [{ apps: 'started' }, totals.started_memory_mb * MB],
  ]);
  gauge('hm_hold_on', '1 while the hold is on', ['hold'], ({ holds }) =>
    holds.map(({ hold, on }) => [{ hold }, on ? 1 : 0]),
  );
  gauge(
    'hm_hold_since_timestamp_seconds',
    'Since when the hold is on, if it is and that is known',
    ['hold'],
    ({ holds }) =>
      holds.flatMap(({ hold, sinceMs }): Row[] =>
        sinceMs === undefined ? [] : [[{ hold }, sinceMs / 1000]],
      ),
  );
  gauge('hm_hold_droplets', 'Droplets that the hold keeps back', ['hold'], ({ holds }) =>
    holds.map(({ hold, droplets }) => [{ hold }, droplets]),
  );
  gauge('hm_deas', 'DEAs by how long they have been silent', ['state'], ({ deas }) =>
    Object.entries(deas).map(([state, value]) => [{ state }, value]),
  );
  new Counter({
    name: 'hm_deployment_messages_total',
    help: 'Messages received and sent by all processes since their Redis was set up',
    labelNames: ['what'],
    registers: [registry],
    async collect() {
      const fleet = await once();
      this.reset();
      for (const [what, count] of Object.entries(fleet?.counters ?? {})) this.inc({ what }, count);
    },
  });
}
