/** Every way out of the process, to a real rsyslogd. */
import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, describe, it } from 'node:test';
import type { LogSink } from '../../src/syslog/log-sink.ts';
import type { LogRecord } from '../../src/syslog/message.ts';
import { openSink } from '../../src/syslog/open-sink.ts';
import type { SyslogTarget } from '../../src/syslog/target.ts';
import { Rsyslogd, withoutRsyslogd } from './rsyslogd.ts';

const MAIL_INFO = 22;

function info(text: string): LogRecord {
  return { facility: 2, severity: 6, ident: 'smtpf', pid: true, text };
}

function neverMind(message: string): void {
  assert.fail(`unexpected problem: ${message}`);
}

/** Lets the event loop see what has already happened, a closed connection for instance. */
async function turnOfTheLoop(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
}

for (const kind of ['local', 'udp', 'tcp'] as const) {
  describe(`--syslog ${kind}, to rsyslogd`, { skip: withoutRsyslogd, timeout: 600_000 }, () => {
    const unsure = kind === 'udp' && 'UDP may lose datagrams and tells nobody';
    let daemon: Rsyslogd;
    let target: SyslogTarget;

    before(async () => {
      daemon = await Rsyslogd.start();
      target =
        kind === 'local'
          ? { kind, path: daemon.socket }
          : { kind, host: kind === 'udp' ? 'localhost' : '127.0.0.1', port: daemon.port };
    });
    after(() => daemon?.remove());

    async function logged(log: (sink: LogSink) => void, last: string): Promise<string[]> {
      const sink = openSink(target, neverMind);
      log(sink);
      const lines = await daemon.until(({ text }) => text.startsWith(last));
      await sink.close();
      assert.equal(sink.dropped, 0);
      return lines.map(({ text }) => text);
    }

    it('delivers priority, host, tag and text', async () => {
      const sink = openSink(target, neverMind);
      sink.write(info('with a pid'));
      sink.write({ facility: 23, severity: 3, ident: 'other', pid: false, text: 'without' });
      const lines = await daemon.until(({ text }) => text === 'without');
      await sink.close();
      const [short] = hostname().split('.');
      assert.deepEqual(lines.slice(-2), [
        { priority: MAIL_INFO, host: short, tag: `smtpf[${process.pid}]:`, text: 'with a pid' },
        { priority: 187, host: short, tag: 'other:', text: 'without' },
      ]);
    });

    it('makes one line of every text and keeps every byte', async () => {
      const texts = ['%s %n %% 100%', 'a\n<0>forged: b\r\n', 'nul\0tab\tesc\x1b[2J', 'caf\xe9 \xc3\xa9 \xff'];
      const lines = await logged((sink) => {
        for (const text of texts) sink.write(info(text));
        sink.write(info('end of bytes'));
      }, 'end of bytes');
      assert.deepEqual(lines.slice(-5), [
        '%s %n %% 100%',
        'a#012<0>forged: b',
        'nul#000tab#011esc#033[2J',
        'caf\xe9 \xc3\xa9 \xff',
        'end of bytes',
      ]);
    });

    it('cuts a long text, so that it stays one message', async () => {
      const lines = await logged((sink) => {
        sink.write(info('long'.padEnd(20_000, '.x')));
        sink.write(info('end of long'));
      }, 'end of long');
      assert.match(lines.at(-2) ?? '', /^long[.x]+\.\.\.$/);
      const most = kind === 'udp' ? 1024 : 8192;
      assert.ok((lines.at(-2)?.length ?? 0) > most - 100);
    });

    it('delivers 10,000 messages written at once, in order', { skip: unsure }, async () => {
      const sink = openSink(target, neverMind);
      for (let i = 0; i < 10_000; i++) sink.write(info(`burst ${i}`));
      const lines = await daemon.until(({ text }) => text === 'burst 9999');
      await sink.close();
      const burst = lines.filter(({ text }) => text.startsWith('burst '));
      assert.equal(burst.length, 10_000);
      for (const [i, { text }] of burst.entries()) assert.equal(text, `burst ${i}`);
    });

    it('delivers what was written just before close', async () => {
      const sink = openSink(target, neverMind);
      for (let i = 0; i < 500; i++) sink.write(info(`late ${i}`));
      await sink.close();
      assert.equal(sink.dropped, 0);
      const lines = await daemon.until(({ text }) => text === 'late 499');
      assert.equal(lines.filter(({ text }) => text.startsWith('late ')).length, 500);
      sink.write(info('after close'));
      assert.equal(sink.dropped, 1);
    });

    it('delivers again when rsyslogd was restarted', {
      skip: kind === 'udp' && 'UDP tells nobody',
    }, async () => {
      const problems: string[] = [];
      const sink = openSink(target, (message) => problems.push(message));
      for (let i = 0; i < 1000; i++) sink.write(info(`before ${i}`));
      await daemon.until(({ text }) => text === 'before 999');
      await daemon.stop();
      await turnOfTheLoop();
      for (let i = 0; i < 1000; i++) sink.write(info(`during ${i}`));
      await daemon.start();
      for (let i = 0; i < 1000; i++) sink.write(info(`after ${i}`));
      const lines = await daemon.until(({ text }) => text === 'after 999');
      await sink.close();
      const texts = lines.map(({ text }) => text).filter((text) => /^(before|during|after) /.test(text));
      const wanted = ['before', 'during', 'after'].flatMap((when) =>
        Array.from({ length: 1000 }, (_, i) => `${when} ${i}`),
      );
      assert.deepEqual(texts, wanted);
      assert.equal(sink.dropped, 0);
      // At most one: rsyslogd may be back before the first attempt to reach it again.
      assert.ok(problems.length <= 1, problems.join('\n'));
      assert.match(problems[0] ?? '', /^$|: log lines are kept until it answers$/);
    });

    it('goes on through a restart in the middle of a stream', async () => {
      const sink = openSink(target, () => {});
      let written = 0;
      const stream = setInterval(() => sink.write(info(`stream ${written++}`)), 1);
      try {
        await daemon.until(({ text }) => text === 'stream 50');
        await daemon.stop();
        await turnOfTheLoop();
        const afterwards = written;
        await daemon.start();
        const restarted = written;
        const lines = await daemon.until(({ text }) => text === `stream ${restarted + 50}`);
        const got = new Set(lines.map(({ text }) => text));
        const from = kind === 'udp' ? restarted : afterwards;
        for (let i = from; i <= restarted + 50; i++) assert.ok(got.has(`stream ${i}`), `stream ${i}`);
      } finally {
        clearInterval(stream);
        await sink.close();
      }
      assert.equal(sink.dropped, 0);
    });
  });
}
