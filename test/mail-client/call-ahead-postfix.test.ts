/** Call-ahead to a real Postfix: one that is there, slow, stopped, gone and back. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServer, type TestServer } from '../helpers/milter-server.ts';
import { type PostfixServer, postfixUnavailable, startPostfix } from '../mta/postfix.ts';
import { SmtpSink } from '../mta/smtp-sink.ts';
import { asker, known, LONG } from './asker.ts';

const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-callahead-'));
/** Where this file is, the Postfix that is asked is slow no more. */
const GO_ON = join(directory, 'go-on');
/** It has a milter of its own, which holds up some. */
const SLOW = `function smtp.do_rcpt(rcpt)
  while rcpt:find "^slow" and not io.open "${GO_ON}" do smtp.delay(0.05) end
end`;

const unfit = postfixUnavailable();
describe('a real Postfix', { skip: process.env['CI'] === 'true' ? false : unfit }, () => {
  let sink: SmtpSink;
  let milter: TestServer;
  let postfix: PostfixServer;
  const port = () => ({ port: postfix.smtpPorts.tcp });
  before(async () => {
    sink = await SmtpSink.start();
    milter = await startServer({ source: SLOW });
    postfix = await startPostfix({ tcpPort: milter.port, unixPath: '/nonexistent' }, sink.port);
  });
  after(async () => {
    await postfix?.stop();
    await milter?.close();
    await sink?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  it('knows its recipients, and hears of no mail', async () => {
    const { ask } = asker();
    assert.equal(known(await ask(port(), { rcpt: 'known@dest.test' })), true);
    const no = known(await ask(port(), { rcpt: 'unknown@dest.test' }));
    assert.ok(typeof no === 'object');
    assert.match(no.reply, /^550 5\.1\.1 .*no such user$/);
    assert.deepEqual(sink.unclaimed, []);
  });

  it('that is slow for one holds up no other, and has the time that it is given', async () => {
    const { ask } = asker();
    let isOver = false;
    const slow = ask(port(), { rcpt: 'slow@dest.test' }).finally(() => {
      isOver = true;
    });
    assert.equal(known(await ask(port(), { rcpt: 'fast@dest.test' })), true);
    const short = { ...LONG, timeoutMs: 300 };
    assert.match(String(known(await asker().ask(port(), { rcpt: 'slow@dest.test' }, short))), /^timeout /);
    assert.equal(isOver, false);
    writeFileSync(GO_ON, '');
    assert.equal(known(await slow), true);
  });

  it('that is stopped is a time-out, then left alone, and asked again when it goes on', async () => {
    const { ask, log } = asker();
    assert.equal(known(await ask(port(), { rcpt: 'a@dest.test' })), true);
    postfix.signal('SIGSTOP');
    try {
      const short = { ...LONG, timeoutMs: 500 };
      assert.match(
        String(known(await ask(port(), { rcpt: 'b@dest.test' }, short))),
        /^timeout .*no answer in/,
      );
      while (log.length === 0) await sleep(1);
      const began = performance.now();
      assert.match(
        String(known(await ask(port(), { rcpt: 'c@dest.test' }))),
        /^unavailable .*does not answer/,
      );
      assert.ok(performance.now() - began < 30_000);
      // What is known already needs nobody.
      assert.equal(known(await ask(port(), { rcpt: 'a@dest.test' })), true);
    } finally {
      postfix.signal('SIGCONT');
    }
    await answersAgain(ask, 'stopped');
    assert.deepEqual(log, ['gone', 'back']);
  });

  it('that is restarted in mid-traffic never says no of who is there', async () => {
    const { ask } = asker();
    const told: unknown[] = [];
    let isOver = false;
    const traffic = Array.from({ length: 3 }, async (_, line) => {
      for (let i = 0; !isOver; i++) {
        told.push(known(await ask(port(), { rcpt: `restart${line}-${i}@dest.test` })));
        await sleep(5);
      }
    });
    const before = () => told.filter((each) => each === true).length;
    while (before() < 10) await sleep(5);
    postfix.down();
    while (!told.some((each) => typeof each === 'string')) await sleep(5);
    postfix.up();
    await answersAgain(ask, 'restarted');
    isOver = true;
    await Promise.all(traffic);
    for (const each of told)
      if (each !== true) assert.match(String(each), /^(?:unavailable|timeout|refused) /);
    assert.deepEqual(sink.unclaimed, []);
  });

  /** Once the pause of its breaker is over: 5 s. */
  async function answersAgain(ask: ReturnType<typeof asker>['ask'], name: string): Promise<void> {
    for (let i = 0; ; i++) {
      const answer = known(await ask(port(), { rcpt: `${name}-again${i}@dest.test` }));
      if (answer === true) return;
      assert.equal(typeof answer, 'string', JSON.stringify(answer));
      await sleep(100);
    }
  }
});
