/** Lines of a log in JSON say of whom and of which line they are, each in a field of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startMilter, statusOf } from '../program/milter-client.ts';

const POLICY = `function smtp.do_mail(sender)
  syslog.info "seen"
end
function smtp.do_rcpt(recipient)
  syslog.info "again"
  error("oops")
end
function smtp.close()
  print "closed"
end
`;

test('a log in JSON has session, transaction, queue id, callback, file and line', async (t) => {
  const milter = await startMilter(t, POLICY, [
    '--workers',
    '1',
    '--log-format',
    'json',
    '--on-error',
    'tempfail',
  ]);
  const mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.mail('<a@b.example>');
  mta.macro('R', 'i', '4XyZ');
  await mta.rcpt('<c@d.example>');
  await mta.quit();
  await milter.running.until('stderr', /closed/);
  const lines = milter.running.stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const by = (found: (line: Record<string, unknown>) => boolean) => lines.find(found) ?? {};
  const seen = by(({ message }) => String(message).endsWith('seen'));
  const { session } = seen;
  const of = { session, transaction: `${session}.1` };
  const { event, transaction, queueId, callback, file, line } = seen;
  assert.deepEqual(
    { event, session, transaction, queueId, callback, file, line },
    { event: 'script', ...of, queueId: undefined, callback: 'smtp.do_mail', file: milter.script, line: 2 },
  );
  assert.equal(by(({ message }) => String(message).endsWith('again')).queueId, '4XyZ');
  const { time: _, message, pid: __, ...failure } = by((found) => found['event'] === 'failure');
  assert.match(message, /oops .*--on-error tempfail$/);
  assert.deepEqual(failure, {
    level: 'error',
    ident: 'smtpf-milter',
    event: 'failure',
    ...of,
    queueId: '4XyZ',
    callback: 'smtp.do_rcpt',
    file: milter.script,
    line: 6,
    error: `${milter.script}:6: oops`,
    onError: 'tempfail',
  });
  assert.equal(by(({ message: text }) => String(text).endsWith('closed')).transaction, undefined);
  const { rates } = await statusOf(milter);
  assert.ok(rates.sessions > 0 && rates.scriptErrors > 0 && rates.overSeconds >= 1);
});
