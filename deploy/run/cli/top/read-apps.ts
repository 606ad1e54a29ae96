import type { Workers } from '../../../../common/explain/present/present.ts';
import type { Holds } from '../../../../common/model/droplet.ts';
import { readWithDeas } from '../../../../common/redis/records/readers.ts';
import { problemsOf, readAppPage } from '../../../../common/views/apps/app-list.ts';
import { APP_PROBLEMS, type AppRow } from '../../../../common/views/apps/app-list-types.ts';
import type { Fleet } from '../../../../common/views/fleet.ts';
import type { RedisSession } from '../connection/with-redis.ts';
import type { Sort, View } from './view.ts';

/** Apps that are read; a person scrolls no further, but filters. */
const MAX_APPS = 200;

/** The apps that the view asks for, and whether there are more. */
export async function readApps(
  { redis, settings }: RedisSession,
  { nowMs, troubled }: Pick<Fleet, 'nowMs' | 'troubled'>,
  { all, filter, sort }: View,
  { holds, workers }: { holds: Holds; workers: Workers },
): Promise<{ apps: AppRow[]; moreApps: boolean }> {
  if (!all && filter === '') {
    const apps = troubled.droplets.map((trouble): AppRow => {
      const { droplet, wanted, live } = trouble;
      return { droplet, wanted, live, problems: problemsOf(trouble), trouble };
    });
    return { apps: sorted(apps, sort), moreApps: troubled.count > apps.length };
  }
  const reader = { read: (ids: readonly string[]) => readWithDeas(redis, { nowMs: () => nowMs }, ids) };
  const sources = { redis, reader, holds, workers, policy: settings.policy };
  const page = await readAppPage(sources, {
    ...{ limit: MAX_APPS, search: filter, sort: all ? 'guid' : 'worst' },
    ...(!all && { problems: APP_PROBLEMS }),
  });
  return { apps: sorted(page.apps, sort), moreApps: page.cursor !== undefined };
}

/** Worst first is the order in which they are read. */
function sorted(apps: AppRow[], sort: Sort): AppRow[] {
  const missing = ({ wanted, live }: AppRow) => wanted - live;
  if (sort === 'name') return apps.sort((a, b) => (a.droplet < b.droplet ? -1 : 1));
  return sort === 'missing' ? apps.sort((a, b) => missing(b) - missing(a)) : apps;
}
