/** Call-ahead to mail servers that say each thing at each step. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Zone } from '../../src/dns/zone.ts';
import { MemoryStore } from '../../src/modules/kv/fake.ts';
import { SYSTEM_CLOCK } from '../../src/services/clock.ts';
import { asker, known, LONG } from './asker.ts';
import { KIND, type Says, ScriptedMailServer } from './scripted-mail-server.ts';

describe('what a mail server says', () => {
  it('of a recipient that it takes; it hears no DATA', async (t) => {
    const server = await ScriptedMailServer.start(t);
    assert.equal(known(await asker().ask(server, { from: 'a@b.example' })), true);
    assert.deepEqual(server.heard.slice(0, 3), [
      'EHLO us.example',
      'MAIL FROM:<a@b.example>',
      'RCPT TO:<joe@d.example>',
    ]);
    const old = await ScriptedMailServer.start(t, { EHLO: '502 what', HELO: '250 mx.example' });
    assert.equal(known(await asker().ask(old)), true);
  });

  it('is no only at RCPT, and for good', async (t) => {
    const no = await ScriptedMailServer.start(t, { RCPT: '550-5.1.1 no\r\n550 5.1.1 such user' });
    assert.deepEqual(known(await asker().ask(no)), { reply: '550 5.1.1 no\n5.1.1 such user' });
    const others: Readonly<Record<string, [Says, RegExp]>> = {
      'later at RCPT': [{ RCPT: '450 4.2.0 greylisted' }, /^refused .*RCPT: 450 4\.2\.0 greylisted$/],
      'no at MAIL': [{ MAIL: '553 5.1.8 no' }, /^refused .*MAIL: 553/],
      'no at HELO': [{ EHLO: '550 no', HELO: '550 no' }, /^refused .*HELO: 550/],
      'no at the greeting': [{ greeting: '554 no' }, /^refused .*greeting: 554/],
      closes: [
        { MAIL: (socket) => socket.destroy() },
        /^unavailable .*(?:closed the connection|ECONNRESET)$/,
      ],
      nonsense: [{ MAIL: 'ceci n’est pas une réponse' }, /^protocol .*no reply of SMTP/],
      flood: [{ MAIL: (socket) => socket.write('x'.repeat(100_000)) }, /^protocol .*a line without end$/],
    };
    for (const [name, [says, expected]] of Object.entries(others)) {
      const server = await ScriptedMailServer.start(t, says);
      assert.match(String(known(await asker().ask(server))), expected, name);
    }
  });

  it('is nothing: a time-out; then it is left alone, and one line tells of it', async (t) => {
    const server = await ScriptedMailServer.start(t, { RCPT: () => {} });
    const { ask, log } = asker();
    const short = { ...LONG, timeoutMs: 300 };
    assert.match(String(known(await ask(server, {}, short))), /^timeout /);
    // The probe itself ends a moment later.
    while (log.length === 0) await turn();
    const { connections } = server;
    assert.match(
      String(known(await ask(server, { rcpt: 'other@d.example' }))),
      /^unavailable .*does not answer/,
    );
    assert.equal(server.connections, connections);
    assert.deepEqual(log, ['gone']);
  });

  it('is unavailable where nobody listens, and the next host is asked', async (t) => {
    const server = await ScriptedMailServer.start(t);
    const { ask } = asker();
    assert.match(String(known(await ask({ port: 1 }))), /^unavailable .*ECONNREFUSED$/);
    assert.equal(known(await ask(server, { hosts: ['127.0.0.2', '127.0.0.1'] })), true);
  });

  it('says nothing where it takes everyone', async (t) => {
    const server = await ScriptedMailServer.start(t);
    assert.equal(known(await asker().ask(server, { asksRandom: true })), 'refused accepts everyone');
    const strict = await ScriptedMailServer.start(t, {
      RCPT: (socket, line) => socket.write(line.includes('<joe@') ? '250 ok\r\n' : '550 no\r\n'),
    });
    assert.equal(known(await asker().ask(strict, { asksRandom: true })), true);
  });

  it('of a domain is asked where its MX leads, and never at ourselves', async (t) => {
    const server = await ScriptedMailServer.start(t);
    const zone = new Zone();
    zone.set('d.example MX', { records: ['10 127.0.0.1'] });
    const { ask } = asker([], undefined, zone);
    assert.equal(known(await ask(server, { hosts: ['mx:d.example'] })), true);
    const own = asker([{ address: '127.0.0.0', bits: 8 }]);
    assert.match(String(known(await own.ask(server))), /^refused .*that is this server$/);
    assert.match(
      String(known(await own.ask(server, { hosts: ['localhost'] }))),
      /^refused .*that is this server$/,
    );
  });

  it('is never asked where we listen, in whatever way that is written', async (t) => {
    const server = await ScriptedMailServer.start(t);
    const at = (address: string) =>
      asker([], undefined, undefined, [
        { address: '192.0.2.1', port: server.port },
        { address, port: server.port },
      ]).ask;
    for (const listening of ['0.0.0.0', '::', '127.0.0.1']) {
      for (const host of ['127.0.0.1', 'localhost', '0.0.0.0', '::ffff:127.0.0.1']) {
        // Where the name leads to ::1 as well, which is not ours then, nobody is there.
        const expected = host === 'localhost' ? /that is this server$|ECONNREFUSED$/ : /that is this server$/;
        assert.match(
          String(known(await at(listening)(server, { hosts: [host] }))),
          expected,
          listening + host,
        );
      }
    }
    assert.match(
      String(known(await at('0.0.0.0')(server, { hosts: ['127.9.9.9'] }))),
      /^refused .*this server$/,
    );
    assert.equal(server.connections, 0);
    // Another port of this machine is somebody else.
    const other = asker([], undefined, undefined, [{ address: '0.0.0.0', port: server.port + 1 }]);
    assert.equal(known(await other.ask(server)), true);
  });
});

describe('answers', () => {
  it('are kept, and one address is asked about once at a time', async (t) => {
    const server = await ScriptedMailServer.start(t);
    const store = new MemoryStore(SYSTEM_CLOCK);
    const { ask } = asker([], store);
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(server)));
    assert.ok(answers.every((answer) => known(answer) === true));
    assert.equal(server.connections, 1);
    server.says = { ...KIND, RCPT: '550 no' };
    assert.equal(known(await asker([], store).ask(server)), true);
    assert.equal(server.connections, 1);
    assert.deepEqual(known(await ask(server, { rcpt: 'jane@d.example' })), { reply: '550 no' });
    server.says = KIND;
    assert.deepEqual(known(await ask(server, { rcpt: 'jane@d.example' })), { reply: '550 no' });
    assert.equal(server.connections, 2);
  });

  it('are asked for without a store too', async (t) => {
    const server = await ScriptedMailServer.start(t);
    const store = new MemoryStore(SYSTEM_CLOCK);
    store.failure = 'unavailable';
    assert.equal(known(await asker([], store).ask(server)), true);
  });

  it('are not kept where they are none, but for a while in memory', async (t) => {
    const server = await ScriptedMailServer.start(t, { RCPT: '450 later' });
    const { ask } = asker();
    assert.match(String(known(await ask(server))), /450 later/);
    assert.match(String(known(await ask(server))), /450 later/);
    assert.equal(server.connections, 1);
  });

  it('come from four connections at a time at most', async (t) => {
    let open = 0;
    let most = 0;
    const server = await ScriptedMailServer.start(t, {
      RCPT: (socket) => {
        most = Math.max(most, ++open);
        setImmediate(() => {
          open -= 1;
          socket.write('250 ok\r\n');
        });
      },
    });
    const { ask } = asker();
    await Promise.all(Array.from({ length: 20 }, (_, i) => ask(server, { rcpt: `u${i}@d.example` })));
    assert.ok(most <= 4, String(most));
    assert.equal(server.connections, 20);
  });
});
