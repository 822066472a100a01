/** Many sessions that ask Redis at once: their commands go out together, and nobody waits for another's answer. */
import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import * as kv from '../../src/store/kv.ts';
import { parseRate, take } from '../../src/store/rate.ts';
import { REDIS, type RealService, startService } from '../helpers/real-service.ts';
import { connected, openStore, patience, valueIn } from './stores.ts';

const at = (key: string) => ({ space: '', key: Buffer.from(key) });

/** Calls of the system that write to a socket, made by what Node.js has below it. */
const WRITES = ['writev', 'writeBuffer', 'writeUtf8String', 'writeAsciiString', 'writeLatin1String'];

describe('Redis', () => {
  let service: RealService;
  before(async () => {
    service = await startService(REDIS);
  });
  after(() => service.stop());

  it('is sent the commands of one turn in one write', { timeout: 120_000 }, async () => {
    let writes = 0;
    const counted = (message: unknown) => {
      const { socket } = message as { socket: Socket };
      socket.once('connect', () => {
        const { _handle: handle } = socket as unknown as {
          _handle: Record<string, (...args: unknown[]) => unknown>;
        };
        for (const name of WRITES) {
          const write = handle[name]?.bind(handle);
          if (write === undefined) continue;
          handle[name] = (...args) => {
            writes += 1;
            return write(...args);
          };
        }
      });
    };
    subscribe('net.client.socket', counted);
    const { store } = openStore(`redis://127.0.0.1:${service.port}`);
    await connected(store);
    const rate = parseRate('1000/h') ?? assert.fail();
    // The script is known to the server from now on.
    await store.run(take(Buffer.from('k'), [rate], 1), patience(60_000));
    await store.run(kv.get(at('k')), patience(60_000));
    assert.ok(writes > 0);
    writes = 0;
    const asked = [];
    for (let index = 0; index < 100; index += 1) {
      asked.push(store.run(kv.get(at(`k${index}`)), patience(60_000)));
      asked.push(store.run(take(Buffer.from('k'), [rate], 1), patience(60_000)));
    }
    for (const answer of await Promise.all(asked)) assert.equal(answer.kind, 'known');
    assert.equal(writes, 1);
    await store.close();
  });

  it('has the commands of 1,000 sessions before it answers the first', { timeout: 120_000 }, async () => {
    const held: Buffer[] = [];
    let commands = 0;
    let isHolding = false;
    const server = createServer((client) => {
      const redis = createConnection({ host: '127.0.0.1', port: service.port });
      for (const socket of [client, redis]) socket.on('error', () => {});
      client.on('data', (bytes) => {
        commands += bytes.toString('latin1').split('EVALSHA').length - 1;
        redis.write(bytes);
        if (commands >= 1000) isHolding = false;
        if (!isHolding) for (const piece of held.splice(0)) client.write(piece);
      });
      redis.on('data', (bytes) => {
        if (isHolding) held.push(bytes);
        else client.write(bytes);
      });
      client.on('close', () => redis.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const { store } = openStore(`redis://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
    await connected(store);
    await store.run(kv.set(at('known'), 7, undefined), patience(60_000));
    await store.run(kv.get(at('known')), patience(60_000));
    commands = 0;
    isHolding = true;
    const asked = Array.from({ length: 1000 }, () => store.run(kv.get(at('known')), patience(60_000)));
    for (const answer of await Promise.all(asked)) assert.equal(valueIn(answer), 7);
    await store.close();
    server.close();
  });
});
