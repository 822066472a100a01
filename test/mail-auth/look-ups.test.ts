import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LookUps } from '../../src/mail-auth/look-ups.ts';
import { inquiryOf, zoneOf } from './messages.ts';

const zone = zoneOf({
  'a.example TXT': ['one', 'two'],
  'a.example MX': '5 mx.a.example',
  'a.example A': '192.0.2.1',
  'down.example TXT': { failure: 'servfail' },
  'slow.example TXT': { failure: 'timeout' },
});

describe('look-ups for mailauth', () => {
  it('have records in its form', async () => {
    const { resolve } = new LookUps(inquiryOf(zone), 10);
    assert.deepEqual(await resolve('a.example', 'TXT'), [['one'], ['two']]);
    assert.deepEqual(await resolve('a.example', 'MX'), [{ exchange: 'mx.a.example', priority: 5 }]);
    assert.deepEqual(await resolve('A.example', 'A'), ['192.0.2.1']);
  });

  it('are for names that are text', async () => {
    const named = zoneOf({ 'xn--bcher-kva.example TXT': 'one', 'a.example TXT': 'two' });
    const { resolve } = new LookUps(inquiryOf(named), 10);
    assert.deepEqual(await resolve('b\u00fccher.example', 'TXT'), [['one']]);
    assert.deepEqual(await resolve('\u0161.example', 'TXT').catch(() => 'none'), 'none');
  });

  it('have the code of node:dns for each failure, and remember the first', async () => {
    const lookUps = new LookUps(inquiryOf(zone), 10);
    await assert.rejects(lookUps.resolve('none.example', 'TXT'), { code: 'ENODATA' });
    assert.equal(lookUps.takeFailure(), undefined);
    await assert.rejects(lookUps.resolve('slow.example', 'TXT'), { code: 'ETIMEOUT' });
    await assert.rejects(lookUps.resolve('down.example', 'TXT'), { code: 'ESERVFAIL' });
    assert.equal(lookUps.takeFailure()?.failure, 'timeout');
    assert.equal(lookUps.takeFailure(), undefined);
  });

  it('are so many and no more; what was asked before is free', async () => {
    const lookUps = new LookUps(inquiryOf(zone), 2);
    await lookUps.resolve('a.example', 'TXT');
    await lookUps.resolve('a.example', 'MX');
    await lookUps.resolve('A.EXAMPLE', 'TXT');
    await assert.rejects(lookUps.resolve('a.example', 'A'), { code: 'ECANCELLED' });
    assert.match(lookUps.takeFailure()?.reason ?? '', /^limit more than 2 look-ups/);
  });
});
