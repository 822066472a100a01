/** What the script logs, by `syslog` and by `print`: one form, and in JSON who and where. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startMilter } from '../../program/milter-client.ts';

const POLICY = `print "main"
syslog.info "main"
local function helper(text)
  print(text)
end
function smtp.do_connect(ip)
  print "one"
  syslog.info "one"
end
function smtp.do_helo(name)
  helper "two"
  coroutine.wrap(function()
    syslog.warning "three"
  end)()
end
function smtp.close()
  syslog.openlog("mine", 0, syslog.LOG_LOCAL3)
  print "four" syslog.info "four"
  io.write "five"
end
`;

async function logOf(t: Parameters<typeof startMilter>[0], args: readonly string[]) {
  const milter = await startMilter(t, POLICY, ['--workers', '0', ...args]);
  const mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.quit();
  await milter.running.until('stderr', /five/);
  await milter.running.stop();
  return { lines: milter.running.stderr.trimEnd().split('\n'), script: milter.script };
}

describe('print and syslog.info', () => {
  test('have one form in text: ident, process, the session’s id', async (t) => {
    const { lines } = await logOf(t, []);
    for (const [word, ident] of [
      ['one', String.raw`smtpf\[\d+\]`],
      ['four', 'mine'],
    ] as const) {
      const found = lines.filter((line) => line.endsWith(` ${word}`));
      assert.equal(found.length, 2, word);
      const [printed, logged] = found.map((line) => line.replace(/^\S+ \S+ /, ''));
      assert.equal(printed, logged);
      assert.match(String(printed), new RegExp(`^info ${ident}: \\S+ ${word}$`));
    }
    assert.ok(lines.some((line) => /info smtpf\[\d+\]: main$/.test(line)));
  });

  test('say in JSON which session, callback, file and line logs', async (t) => {
    const { lines, script } = await logOf(t, ['--log-format', 'json']);
    const records = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'script');
    const { session } = records.find(({ callback }) => callback === 'smtp.do_helo');
    assert.match(session, /^\S+$/);
    const said = records
      .filter((record) => record.session === session)
      .map(({ message, callback, file, line, level, ident }) => {
        assert.equal(file, line === undefined ? undefined : script);
        assert.ok(message.startsWith(`${session} `));
        return [message.slice(session.length + 1), level, ident, callback, line];
      });
    assert.deepEqual(said, [
      ['main', 'info', 'smtpf', 'main chunk', 1],
      ['main', 'info', 'smtpf', 'main chunk', 2],
      ['one', 'info', 'smtpf', 'smtp.do_connect', 7],
      ['one', 'info', 'smtpf', 'smtp.do_connect', 8],
      ['two', 'info', 'smtpf', 'smtp.do_helo', 4],
      ['three', 'warning', 'smtpf', 'smtp.do_helo', 13],
      ['four', 'info', 'mine', 'smtp.close', 18],
      ['four', 'info', 'mine', 'smtp.close', 18],
      ['five', 'info', 'mine', 'smtp.close', undefined],
    ]);
  });
});
