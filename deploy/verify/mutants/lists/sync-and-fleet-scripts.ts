import type { Area } from '../mutant.ts';

/** The scripts of the bulk sync. */
export const SYNC_SCRIPTS: Area = {
  name: 'scripts: sync',
  tests: ['ingest/sync', 'common/redis/scripts'],
  mutants: [
    {
      name: 'the number of a pass may repeat',
      file: 'begin_pass.lua',
      from: 'if last >= number then',
      to: 'if false then',
    },
    {
      name: 'an older pass takes the fence back',
      file: 'fence_pass.lua',
      from: 'if current and (tonumber(current) or 0) > tonumber(ARGV[1]) then',
      to: 'if false then',
    },
    {
      name: 'a superseded pass marks droplets as gone',
      file: 'mark_gone.lua',
      from: "if redis.call('GET', KEYS[2]) ~= ARGV[3] then",
      to: 'if false then',
    },
    {
      name: 'a superseded pass stores desired states',
      file: 'store_desired.lua',
      from: "if redis.call('GET', KEYS[2]) ~= ARGV[3] then",
      to: 'if false then',
    },
    {
      name: 'a superseded pass stores pages',
      file: 'store_pages.lua',
      from: "if redis.call('GET', KEYS[1]) ~= ARGV[1] then",
      to: 'if false then',
    },
    {
      name: 'a superseded pass reports its end',
      file: 'report_pass.lua',
      from: "if redis.call('HGET', KEYS[1], 'pass') ~= ARGV[1] then",
      to: 'if false then',
    },
    {
      name: 'a droplet that was never listed is marked as gone',
      file: 'mark_gone.lua',
      from: "elseif was_listed and redis.call('HSETNX', hash, 'gone', ARGV[2]) == 1 then",
      to: "elseif redis.call('HSETNX', hash, 'gone', ARGV[2]) == 1 then",
    },
    {
      name: 'a droplet that is listed again stays gone',
      file: 'store_desired.lua',
      from: "redis.call('HDEL', key, 'gone')",
      to: '',
    },
    {
      name: 'a new version begins no grace period',
      file: 'store_desired.lua',
      from: "redis.call('HSET', key, 'version_since', now)",
      to: '',
    },
    {
      name: 'a first listing ignores instances of another version',
      file: 'store_desired.lua',
      from: 'and has_instance_of_another_version(key, version_of(new))',
      to: 'and false',
    },
    {
      name: 'a pass that began before the update ends it',
      file: 'store_desired.lua',
      from: 'local ends_update = updated and updated < tonumber(begun) and not',
      to: 'local ends_update = updated and not',
    },
    {
      name: 'a lost record is built again with its old grace period',
      file: 'store_desired.lua',
      from: 'if not old[1] or were_lost then',
      to: 'if not old[1] then',
    },
    {
      name: 'a lost record is built again by a pass at once',
      file: 'store_desired.lua',
      from: 'local is_lost = must_exist and not were_lost and',
      to: 'local is_lost = false and',
    },
  ],
};

/** The watermark, the takeover, the clock, and the state of holds. */
export const FLEET_SCRIPTS: Area = {
  name: 'scripts: fleet',
  tests: [
    'ingest/heartbeats/watermark',
    'ingest/heartbeats/verification',
    'ingest/sync/pass/lost-data',
    'ingest/takeover',
    'common/redis',
    'analyzer/tick',
  ],
  mutants: [
    {
      name: 'a key of the right type is removed, too',
      file: 'fleet/remove_mistyped.lua',
      from: "if found == ARGV[1] or found == 'none' then",
      to: "if found == 'none' then",
    },
    {
      name: 'a watermark of an older generation is stored',
      file: 'publish_watermark.lua',
      from: "if joined == '' or tonumber(joined) < tonumber(generation) then",
      to: "if joined == '' then",
    },
    {
      name: 'an ingestor that stands still is not taken over from',
      file: 'publish_watermark.lua',
      from: 'if peer ~= ARGV[2] and now - published > gap then',
      to: 'if false then',
    },
    {
      name: 'an ingestor with a backlog is taken over from',
      file: 'publish_watermark.lua',
      from: "local published = time(string.match(about, '^(%d+) ')) or watermarks[peer] or 0",
      to: 'local published = watermarks[peer] or 0',
    },
    {
      name: 'an ingestor that stands still before its first watermark is not taken over from',
      file: 'publish_watermark.lua',
      from: 'if not watermarks[listed[i]] then',
      to: 'if false then',
    },
    {
      name: 'a takeover loses no heartbeat',
      file: 'publish_watermark.lua',
      from: 'note_gap(math.min(watermarks[peer] or published, published))',
      to: '',
    },
    {
      name: 'a silence of all ingestors is no gap',
      file: 'publish_watermark.lua',
      from: 'if last and now - last > gap then\n  note_gap(last)\nend',
      to: '',
    },
    {
      name: 'an own silence is no gap',
      file: 'publish_watermark.lua',
      from: "note_silence(redis.call('ZSCORE', KEYS[2], ARGV[2]))",
      to: '',
    },
    {
      name: 'an ingestor with too old a backlog publishes its watermark',
      file: 'publish_watermark.lua',
      from: "if ARGV[5] == '' then",
      to: 'if false then',
    },
    {
      name: 'no heartbeat is lost with a killed ingestor',
      file: 'publish_watermark.lua',
      from: "ARGV[6] == '1' or is_alone or #removed > 0 or",
      to: "ARGV[6] == '1' or is_alone or",
    },
    {
      name: 'no heartbeat is lost before the first ingestor',
      file: 'publish_watermark.lua',
      from: "ARGV[6] == '1' or is_alone or #removed > 0 or",
      to: "ARGV[6] == '1' or #removed > 0 or",
    },
    {
      name: 'the gap of a takeover ends before the new generation is joined',
      file: 'publish_watermark.lua',
      from: 'if taken_over_at then\n  note_gap(taken_over_at)\nend',
      to: '',
    },
    {
      name: 'a hold is stored although another process has changed it',
      file: 'swap_hold.lua',
      from: "if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then",
      to: 'if false then',
    },
    {
      name: 'the clock of the deployment goes back',
      file: 'deployment_time.lua',
      from: 'if ms + ahead < known - SLACK_MS then',
      to: 'if false then',
    },
    {
      name: 'a failover loses no data',
      file: 'detect_failover.lua',
      from: "is_new = is_new or redis.call('HEXISTS', KEYS[1], seen[i]) == 0",
      to: '',
    },
    {
      name: 'a lost DEA is reported again in each tick',
      file: 'list_lost_deas.lua',
      from: 'if not marked or tonumber(marked) ~= tonumber(silent[i + 1]) then',
      to: 'if true then',
    },
  ],
};
