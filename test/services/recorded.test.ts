/** The one recorder of all services: what is told of a question does not depend on which service it was put to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Answer, known, type Patience, unknown } from '../../src/asking/answer.ts';
import { Zone } from '../../src/dns/zone.ts';
import { type Asked, answerText } from '../../src/services/asked.ts';
import { recorded } from '../../src/services/recorded.ts';
import type { Services } from '../../src/services/services.ts';
import { servicesWith } from '../helpers/services.ts';

const PATIENCE: Patience = { timeoutMs: 1000, cancelled: new AbortController().signal };

/** A service that this program does not have. */
class Oracle {
  readonly #known = new Map([['old', known(Buffer.from('\xff!', 'latin1'))]]);

  async get(key: string, bytes: Buffer, _patience: Patience): Promise<Answer<unknown>> {
    if (key === 'silent') return unknown('timeout', 'the oracle');
    return known({ count: bytes.length, names: ['a', Buffer.from('b')], none: undefined });
  }

  recall(key: string): Answer<Buffer> | undefined {
    return this.#known.get(key);
  }

  get size(): number {
    return this.#known.size;
  }
}

function listen(): { asked: Asked[]; services: Services & { oracle: Oracle } } {
  const asked: Asked[] = [];
  const all = { ...servicesWith({ records: zone }), oracle: new Oracle() };
  const services = recorded(all, (one) => asked.push(one)) as Services & { oracle: Oracle };
  return { asked, services };
}

const zone = new Zone();
zone.set('host.example A', { records: ['192.0.2.1', '192.0.2.2'] });
zone.set('host.example MX', { records: ['10 mx.example'] });
zone.set('host.example TXT', { records: ['v=spf1 -all'] });
zone.set('broken.example A', { failure: 'servfail' });

const quote = (text: string) => `<${text}>`;
const shown = (asked: Asked) => answerText(asked, quote, (text) => text);

test('questions to any service are told, with what became of them', async () => {
  const { asked, services } = listen();
  const answer = services.oracle.get('key', Buffer.from('xy'), PATIENCE);
  assert.deepEqual(
    asked.map((one) => [one.service, one.question, shown(one)]),
    [['oracle', 'get key xy', 'no answer yet']],
  );
  assert.equal((await answer).kind, 'known');
  await services.oracle.get('silent', Buffer.from(''), PATIENCE);
  assert.equal(services.oracle.recall('new'), undefined);
  services.oracle.recall('old');
  assert.equal(services.oracle.size, 1);
  assert.deepEqual(
    asked.map(({ question, answer, failure, cached }) => [question, answer, failure, cached]),
    [
      ['get key xy', { count: 2, names: ['a', 'b'], none: null }, undefined, false],
      ['get silent ', undefined, 'timeout the oracle', false],
      ['recall old', '\xff!', undefined, true],
    ],
  );
  assert.deepEqual(asked.map(shown), [
    'count=2 names=<a>, <b> none=nothing',
    'timeout the oracle',
    '<\xff!>',
  ]);
});

test('those to the DNS are told as people write them', async () => {
  const { asked, services } = listen();
  const { records } = services;
  assert.equal(records.timeoutMs, zone.timeoutMs);
  for (const type of ['A', 'MX', 'TXT', 'AAAA'] as const) await records.query(type, 'host.example', PATIENCE);
  await records.query('A', 'broken.example', PATIENCE);
  assert.deepEqual(
    asked.map((one) => `${one.service} ${one.question}: ${shown(one)}`),
    [
      'dns A host.example: 192.0.2.1, 192.0.2.2',
      'dns MX host.example: 10 mx.example',
      'dns TXT host.example: <v=spf1 -all>',
      'dns AAAA host.example: nothing',
      'dns A broken.example: servfail looking up A of broken.example',
    ],
  );
});

test('to log and to wait is no question', async () => {
  const { asked, services } = listen();
  services.clock.now();
  await services.clock.wait(0, PATIENCE.cancelled);
  await services.log.close();
  assert.deepEqual(asked, []);
});
