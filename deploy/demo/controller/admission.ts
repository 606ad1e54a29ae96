/**
 * A controller's checks of the health manager's requests (contract: messages out). A controller knows only its apps
 * and the fields of the request, therefore `running` in the request must be right.
 */
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { App } from './apps.ts';

const Running = Type.Record(Type.String(), Type.Integer({ minimum: 1 }));
const StartRequest = Type.Object({
  droplet: Type.String({ minLength: 1 }),
  last_updated: Type.Union([Type.Integer(), Type.Null()]),
  version: Type.String({ minLength: 1 }),
  // Newer controllers accept exactly one index.
  indices: Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1, maxItems: 1 }),
  running: Running,
  flapping: Type.Boolean(),
});
const StopRequest = Type.Object({
  droplet: Type.String({ minLength: 1 }),
  last_updated: Type.Union([Type.Integer(), Type.Null()]),
  instances: Type.Record(Type.String(), Type.String(), { minProperties: 1 }),
  running: Running,
  version: Type.Union([Type.String({ minLength: 1 }), Type.Null()]),
});
export type StartRequest = Static<typeof StartRequest>;
export type StopRequest = Static<typeof StopRequest>;

const startRequest = Compile(StartRequest);
const stopRequest = Compile(StopRequest);

/** @throws Error that names the first field that is wrong */
export function parseStart(text: string): StartRequest {
  const value: unknown = JSON.parse(text);
  if (startRequest.Check(value)) return value;
  throw new Error(firstProblem(startRequest.Errors(value)));
}

/** @throws Error that names the first field that is wrong */
export function parseStop(text: string): StopRequest {
  const value: unknown = JSON.parse(text);
  if (stopRequest.Check(value)) return value;
  throw new Error(firstProblem(stopRequest.Errors(value)));
}

function firstProblem(errors: { instancePath: string; message: string }[]): string {
  const [error] = errors;
  return error ? `${error.instancePath || 'payload'} ${error.message}` : 'is invalid';
}

/** @returns why the start is refused; undefined when it is accepted */
export function refuseStart(app: App | undefined, request: StartRequest): string | undefined {
  if (app === undefined) return 'no such app';
  if (app.state !== 'STARTED') return 'the app is not started';
  if (request.version !== app.version) return 'not the current version';
  if (request.indices.some((index) => index >= app.instances)) return 'index out of range';
  if ((request.running[app.version] ?? 0) >= app.instances) return 'enough instances are running';
  return undefined;
}

/** @returns why the stop is refused; undefined when it is accepted */
export function refuseStop(app: App | undefined, request: StopRequest): string | undefined {
  if (app === undefined) return undefined;
  if (app.state !== 'STARTED') {
    const isOther = Object.values(request.instances).some((version) => version !== app.version);
    return isOther ? 'not the current version' : undefined;
  }
  for (const [version, stopped] of countByVersion(request.instances)) {
    if (version === app.version) {
      const left = (request.running[version] ?? 0) - stopped;
      if (left < app.instances) return 'too few instances of the current version would be left';
    } else if ((request.running[app.version] ?? 0) === 0) {
      return 'no instance of the current version is running';
    }
  }
  return undefined;
}

function countByVersion(instances: Record<string, string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const version of Object.values(instances)) counts.set(version, (counts.get(version) ?? 0) + 1);
  return counts;
}
