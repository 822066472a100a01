/** When a service that does not answer is left alone, and when it is asked again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Answer, type Failure, known, unknown } from '../../src/asking/answer.ts';
import { Breaker, type BreakerNews } from '../../src/asking/breaker.ts';

function bench() {
  let now = 1000;
  const news: string[] = [];
  const tell = ({ subject, isOpen, reason }: BreakerNews) =>
    news.push(`${subject} ${isOpen ? `gone: ${reason}` : 'back'}`);
  const breaker = new Breaker('service', tell, () => now);
  let calls = 0;
  const ask = (answer: Answer<number>) =>
    breaker.ask(async () => {
      calls += 1;
      return answer;
    });
  const fail = (failure: Failure) => ask(unknown(failure, 'x'));
  return { breaker, news, ask, fail, pass: (ms: number) => (now += ms), calls: () => calls };
}

describe('a breaker', () => {
  it('opens with a time-out, and closes with an answer after its pause', async () => {
    const { ask, fail, pass, news, calls } = bench();
    assert.deepEqual(await ask(known(1)), known(1));
    await fail('timeout');
    assert.deepEqual(news, ['service gone: timeout x']);
    const refused = await ask(known(2));
    assert.equal(
      refused.kind === 'unknown' && refused.reason,
      'unavailable service does not answer, next try in 5 s',
    );
    assert.equal(calls(), 2);
    pass(4999);
    await ask(known(2));
    assert.equal(calls(), 2);
    pass(1);
    assert.deepEqual(await ask(known(3)), known(3));
    assert.deepEqual(news, ['service gone: timeout x', 'service back']);
  });

  it('opens with five other failures in a row, and with no fewer', async () => {
    const { ask, fail, news } = bench();
    for (let i = 0; i < 4; i++) await fail('unavailable');
    await ask(known(1));
    for (let i = 0; i < 4; i++) await fail('protocol');
    assert.deepEqual(news, []);
    await fail('unavailable');
    assert.deepEqual(news, ['service gone: unavailable x']);
  });

  it('learns nothing from calls that were cancelled', async () => {
    const { breaker, news } = bench();
    const gone = AbortSignal.abort();
    for (let i = 0; i < 10; i++) await breaker.ask(async () => unknown('unavailable', 'cancelled'), gone);
    await breaker.ask(async () => unknown('timeout', 'x'), gone);
    assert.deepEqual(news, []);
  });

  it('takes a limit for an answer', async () => {
    const { fail, news } = bench();
    for (let i = 0; i < 10; i++) await fail('limit');
    assert.deepEqual(news, []);
  });

  it('lets one probe through, and doubles its pause up to a minute', async () => {
    const { breaker, fail, pass, calls, news } = bench();
    await fail('timeout');
    for (const pause of [5, 10, 20, 40, 60, 60]) {
      const before = calls();
      pass(pause * 1000 - 1);
      await fail('timeout');
      assert.equal(calls(), before, `${pause} s are not over`);
      pass(1);
      let answer: (answer: Answer<number>) => void = () => {};
      const probe = breaker.ask(() => new Promise<Answer<number>>((resolve) => (answer = resolve)));
      assert.equal((await fail('timeout')).kind, 'unknown');
      assert.equal(calls(), before, 'others do not probe');
      answer(unknown('timeout', 'x'));
      await probe;
    }
    assert.deepEqual(news, ['service gone: timeout x']);
  });

  it('is not kept open longer by calls that were under way', async () => {
    const { breaker, fail, ask, pass } = bench();
    let answer: (answer: Answer<number>) => void = () => {};
    const slow = breaker.ask(() => new Promise<Answer<number>>((resolve) => (answer = resolve)));
    await fail('timeout');
    pass(3000);
    answer(unknown('timeout', 'x'));
    await slow;
    pass(2000);
    assert.deepEqual(await ask(known(1)), known(1));
  });

  it('goes on when a call throws', async () => {
    const { breaker, fail, ask, pass } = bench();
    await fail('timeout');
    pass(5000);
    await assert.rejects(breaker.ask(() => Promise.reject(new Error('x'))));
    assert.deepEqual(await ask(known(1)), known(1));
  });
});
