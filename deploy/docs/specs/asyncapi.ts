/** asyncapi.yml: the NATS interface as AsyncAPI 3. */
import type { TSchema } from 'typebox';
import { HEADERS } from '../../../common/messages/subjects.ts';
import { packageVersion } from '../../../common/runtime/package-version.ts';
import { CHANNELS, type Channel } from './channels.ts';
import { plainSchema, toYaml } from './yaml.ts';

/** The operation of the health manager on a channel. */
const ACTION = { receives: 'receive', answers: 'receive', publishes: 'send', requests: 'send' } as const;

/** The document, plain data. */
export function asyncApi(): Record<string, unknown> {
  const channels = Object.entries(CHANNELS);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Health manager',
      version: packageVersion(),
      description: 'What agents (DEAs), controllers and the health manager say to each other over NATS.',
      license: { name: 'Apache 2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(
      channels.flatMap(([name, channel]) => [
        [name, channelObject(channel)],
        ...(channel.reply === undefined ? [] : [[`${name}Reply`, replyChannel(channel.reply)]]),
      ]),
    ),
    operations: Object.fromEntries(
      channels.map(([name, channel]) => [`${channel.role}_${name}`, operation(name, channel)]),
    ),
  };
}

/** As a file. */
export function asyncApiYaml(): string {
  return toYaml(asyncApi());
}

function channelObject({ subject, summary, payload, example, role, peer, dialects }: Channel): object {
  const only = dialects === undefined ? '' : ` Only with dialect ${dialects.join(', ')}.`;
  const isDecision = role === 'publishes' && peer === 'controller';
  return {
    address: subject,
    description: `${summary}${only}`,
    ...(subject.includes('{') && {
      parameters: { partition: { description: 'the setting `cc_partition`' } },
    }),
    messages: { message: message(payload, example, isDecision) },
  };
}

function replyChannel({ payload, example }: NonNullable<Channel['reply']>): object {
  return { address: null, messages: { message: message(payload, example, false) } };
}

function message(payload: TSchema, example: unknown, isDecision: boolean): object {
  const text = { type: 'string' };
  return {
    ...(isDecision && {
      headers: {
        type: 'object',
        properties: Object.fromEntries(Object.values(HEADERS).map((name) => [name, text])),
      },
    }),
    payload: plainSchema(payload),
    // The specification allows only objects as examples.
    ...(!Array.isArray(example) && { examples: [{ payload: example }] }),
  };
}

function operation(name: string, { role, summary, reply }: Channel): object {
  return {
    action: ACTION[role],
    channel: { $ref: `#/channels/${name}` },
    summary,
    ...(reply !== undefined && {
      reply: {
        address: { location: '$message.header#/reply', description: "the request's reply subject" },
        channel: { $ref: `#/channels/${name}Reply` },
        messages: [{ $ref: `#/channels/${name}Reply/messages/message` }],
      },
    }),
    messages: [{ $ref: `#/channels/${name}/messages/message` }],
  };
}
