/**
 * What the parts of the demo cloud say to each other. The health manager knows nothing of it: with that,
 * the cloud speaks only the contract.
 */
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { App } from './controller/apps.ts';

/** NATS, controller -> one agent (request): start an instance. Reply: `PlaceReply`. */
export function placeSubject(agent: string): string {
  return `cloud.agent.${agent}.start`;
}
/** NATS, controller -> all agents: each stops what it has of these instances. */
export const STOP_SUBJECT = 'cloud.agents.stop';
/** NATS, a controller that begins -> all agents: a heartbeat, so that it knows them at once. */
export const LOCATE_SUBJECT = 'cloud.agents.locate';

const PlaceRequest = Type.Object({
  droplet: Type.String(),
  version: Type.String(),
  index: Type.Integer({ minimum: 0 }),
  command: Type.String(),
});
const PlaceReply = Type.Union([
  Type.Object({ instance: Type.String() }),
  /** The agent takes none any more. */
  Type.Object({ refused: Type.String() }),
]);
const StopInstances = Type.Object({ instances: Type.Array(Type.String()) });
export type PlaceRequest = Static<typeof PlaceRequest>;
export type PlaceReply = Static<typeof PlaceReply>;
export type StopInstances = Static<typeof StopInstances>;
export const placeRequest = Compile(PlaceRequest);
export const placeReply = Compile(PlaceReply);
export const stopInstances = Compile(StopInstances);

/** One instance as its agent knows it. */
export interface InstanceView {
  guid: string;
  droplet: string;
  version: string;
  index: number;
  /** STARTING, RUNNING, EVACUATING, STOPPING, CRASHED. */
  state: string;
  /** Of the real process; absent when it has none (CRASHED). */
  pid?: number;
}

/** IPC, an agent process -> supervisor. Sent before the same news goes out on NATS. */
export type AgentNews =
  | { type: 'ready'; id: string }
  | { type: 'instances'; instances: InstanceView[] }
  | { type: 'evacuating' };

/** IPC, the controller process -> supervisor. */
export type ControllerNews =
  | { type: 'ready'; port: number }
  | { type: 'apps'; apps: App[]; changed: string[] }
  /** The apps file does not fit; the last good one stands. */
  | { type: 'file'; problem: string }
  | { type: 'start'; droplet: string; version: string; index: number; flapping: boolean; refused?: string }
  | { type: 'placed'; droplet: string; index: number; agent: string; instance: string }
  /** An accepted start found no agent; it has to be asked for again. */
  | { type: 'unplaced'; droplet: string; index: number; why: string }
  /** `app` as the controller had it at that moment; absent when it had none. */
  | { type: 'stop'; droplet: string; instances: string[]; app?: App; refused?: string }
  /** A message that is none. */
  | { type: 'malformed'; subject: string; why: string };

/** argv[2] of a child process of the supervisor, as JSON. */
export type Role =
  | {
      role: 'agent';
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
