import { runDemo } from '../../demo/demo.ts';

/** `hm demo ...`: the options are the demo's own. */
export function demo(options: string[]): Promise<number> {
  return runDemo(options);
}
