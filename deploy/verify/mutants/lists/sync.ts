import type { Area } from '../mutant.ts';

/** The bulk sync: what a pass counts, what it marks as gone, and what it does about lost data. */
export const SYNC: Area = {
  name: 'sync',
  tests: ['ingest/sync'],
  mutants: [
    {
      name: 'a page that is listed again counts again',
      file: 'read-pages.ts',
      from: "if (head.ids === '' || !idsSeen.has(head.ids)) progress.distinct",
      to: 'progress.distinct',
    },
    {
      name: 'a list that begins again raises the baseline of mass_delete',
      file: 'complete-pass.ts',
      from: 'if (listed <= accepted) return listed;',
      to: 'if (listed >= 0) return listed;',
    },
    {
      name: 'a list without end is read for ever',
      file: 'read-pages.ts',
      from: 'if (receivedMs > deadlineMs) {',
      to: 'if (receivedMs > 2 * deadlineMs) {',
    },
    {
      name: 'a token may come again',
      file: 'read-pages.ts',
      from: 'if (tokens.has(page.token)) {',
      to: "if (tokens.has('none')) {",
    },
    {
      name: 'a droplet that moved to another page is gone',
      file: 'completion/mark-gone.ts',
      from: '    await removeListed(writer, options.pages, missing);\n',
      to: '',
    },
    {
      name: 'droplets of pages after the last one stay wanted',
      file: 'completion/mark-gone.ts',
      from: '  await dropSurplusPages(writer, options.pages);\n',
      to: '',
    },
    {
      name: 'droplets of lost pages stay wanted',
      file: 'completion/mark-gone.ts',
      from: '  if (options.sweep) await suspectAll(writer);\n',
      to: '',
    },
    {
      name: 'a page that cannot be read is no loss',
      file: 'read-pages.ts',
      from: '    await writer.report({ rewrite: 1 });\n',
      to: '',
    },
    {
      name: 'a lost fence is no loss',
      file: 'fenced-writer.ts',
      from: 'const lost = known > 0 && known < fences.length;',
      to: 'const lost = known < 0 && known < fences.length;',
    },
    {
      name: 'the instances of a lost record are taken for all there are',
      file: 'fenced-writer.ts',
      from: '    await expireAllDigests(this.redis);\n',
      to: '',
    },
  ],
};
