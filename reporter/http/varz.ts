/** `/varz` under the names of HM 2.0, so that existing readers keep working. */
import { availableParallelism, freemem, loadavg, totalmem } from 'node:os';
import { logCounts } from '../../common/runtime/log/log.ts';
import type { Fleet } from '../../common/views/fleet.ts';
import type { ComponentFacts } from './component.ts';

/**
 * Figures of the whole deployment. Of this process are only uptime, mem (KB), mem_bytes, cpu (percent since the start) and
 * log_counts (lines by level); of its host are mem_used_bytes, mem_free_bytes and cpu_load_avg (of the last minute).
 */
export function varz(fleet: Fleet, component: ComponentFacts): Record<string, unknown> {
  const { totals, queues, sync, counters } = fleet;
  const { running, missing, flapping } = totals;
  const rss = process.memoryUsage.rss();
  const free = freemem();
  return {
    ...component,
    num_cores: availableParallelism(),
    mem: Math.round(rss / 1024),
    cpu: cpuPercent(),
    mem_bytes: rss,
    mem_used_bytes: totalmem() - free,
    mem_free_bytes: free,
    cpu_load_avg: loadavg()[0],
    log_counts: logCounts(),
    state: 'RUNNING',
    /** False: the figures of what runs are those of when it was last known. */
    actual_state_known: fleet.unknown === undefined,
    total_apps: totals.apps,
    total_instances: totals.instances,
    running_instances: running,
    missing_instances: missing,
    crashed_instances: totals.crashed,
    flapping_instances: flapping,
    running: {
      apps: totals.started_apps,
      crashes: totals.started_crashed,
      running_instances: running,
      missing_instances: missing,
      flapping_instances: flapping,
    },
    total: {
      apps: totals.apps,
      started_apps: totals.started_apps,
      instances: totals.instances,
      started_instances: totals.started_instances,
      memory: totals.memory_mb,
      started_memory: totals.started_memory_mb,
    },
    total_users: sync.users ?? 0,
    queue_length:
      queues.starts.waiting + queues.stops.waiting + queues.restarts.waiting + queues.restarts.delayed,
    ...counters,
    analysis_loop_duration: fleet.auditMs / 1000,
    bulk_update_loop_duration: (sync.durationMs ?? 0) / 1000,
  };
}

function cpuPercent(): number {
  const { user, system } = process.cpuUsage();
  return Math.round((user + system) / process.uptime() / 1000) / 10;
}
