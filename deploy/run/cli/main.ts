#!/usr/bin/env node
import { main } from './program.ts';

// Set, not called: what is still to be written to a pipe gets out first.
process.exitCode = await main(process.argv.slice(2));
