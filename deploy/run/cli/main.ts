#!/usr/bin/env node
import type { ChildName } from '../launcher/child.ts';
import { stopEarly } from './stop-early.ts';

const RUNS: Record<ChildName | 'start' | 'demo', true> = {
  ...{ ingest: true, sync: true, analyzer: true, nudger: true, reporter: true },
  ...{ all: true, start: true, demo: true },
};

stopEarly((process.argv[2] ?? '') in RUNS);
// Only now, because loading the program takes a good part of a second.
const { main } = await import('./program.ts');
// Not process.exit(): output that is still buffered for a pipe must be written first.
process.exitCode = await main(process.argv.slice(2));
