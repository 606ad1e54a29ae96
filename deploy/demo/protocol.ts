/**
 * The messages between the parts of the demo cloud. The health manager does not use them: with it the cloud
 * exchanges only the messages of the contract.
 */
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { App } from './controller/apps.ts';

/** NATS, controller -> one DEA (request): start an instance. Reply: `PlaceReply`. */
export function placeSubject(dea: string): string {
  return `cloud.dea.${dea}.start`;
}
/** NATS, controller -> all DEAs: each stops those of the instances that it runs. */
export const STOP_SUBJECT = 'cloud.deas.stop';
/** NATS, controller -> all DEAs, when it starts: each sends a heartbeat at once. */
export const LOCATE_SUBJECT = 'cloud.deas.locate';

const PlaceRequest = Type.Object({
  droplet: Type.String(),
  version: Type.String(),
  index: Type.Integer({ minimum: 0 }),
  command: Type.String(),
});
const PlaceReply = Type.Union([
  Type.Object({ instance: Type.String() }),
  /** The DEA accepts no more instances. */
  Type.Object({ refused: Type.String() }),
]);
const StopInstances = Type.Object({ instances: Type.Array(Type.String()) });
export type PlaceRequest = Static<typeof PlaceRequest>;
export type PlaceReply = Static<typeof PlaceReply>;
export type StopInstances = Static<typeof StopInstances>;
export const placeRequest = Compile(PlaceRequest);
export const placeReply = Compile(PlaceReply);
export const stopInstances = Compile(StopInstances);

/** One instance as its DEA reports it to the supervisor. */
export interface InstanceView {
  guid: string;
  droplet: string;
  version: string;
  index: number;
  /** STARTING, RUNNING, EVACUATING, STOPPING, CRASHED. */
  state: string;
  /** Of the process; absent when there is none (CRASHED). */
  pid?: number;
}

/** IPC, a DEA process -> supervisor. Sent before the same change is published on NATS. */
export type DeaEvent =
  | { type: 'ready'; id: string }
  | { type: 'instances'; instances: InstanceView[] }
  | { type: 'evacuating' }
  /** Its heartbeat is this late (ms). */
  | { type: 'late'; ms: number };

/** IPC, the controller process -> supervisor. */
export type ControllerEvent =
  | { type: 'ready'; port: number }
  | { type: 'apps'; apps: App[]; changed: string[] }
  /** The apps file is invalid; the last valid one stays in force. */
  | { type: 'file'; problem: string }
  | { type: 'start'; droplet: string; version: string; index: number; flapping: boolean; refused?: string }
  | { type: 'placed'; droplet: string; index: number; dea: string; instance: string }
  /** No DEA took an accepted start; it must be requested again. */
  | { type: 'unplaced'; droplet: string; index: number; why: string }
  /** `app` as the controller had it at that moment; absent when unknown. */
  | { type: 'stop'; droplet: string; instances: string[]; app?: App; refused?: string }
  /** A message that violates the contract. */
  | { type: 'malformed'; subject: string; why: string };

/** argv[2] of a child process of the supervisor, as JSON. */
export type Role =
  | {
      role: 'dea';
      nats: string;
      partition: string;
      heartbeatMs: number;
      /** Where the instances' output goes. */
      logDir?: string;
    }
  | {
      role: 'controller';
      nats: string;
      partition: string;
      appsFile: string;
      heartbeatMs: number;
      port?: number;
    };
