#!/usr/bin/env node
import { main } from './program.ts';

// Not process.exit(): output that is still buffered for a pipe must be written first.
process.exitCode = await main(process.argv.slice(2));
