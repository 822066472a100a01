/**
 * SMTP sessions with Postfix on port 25 of the loopback address, for so many seconds or until standard input ends; prints
 * what came of them as JSON. The second argument is the code for the recipient whom the policy refuses.
 */
import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** Sessions with Postfix on port 25 here, one after another in four rows, until the time is over. */
async function traffic(seconds, refused) {
  let end = performance.now() + seconds * 1000;
  process.stdin.resume().on('end', () => {
    end = 0;
  });
  const wrong = [];
  let sessions = 0;
  let longest = 0;
  const row = async () => {
    while (performance.now() < end) {
      const began = performance.now();
      const replies = await session().catch((error) => [error.message]);
      const expected = `220 250 250 250 ${refused} 354 250 221`;
      const got = replies.map((reply) => reply.slice(0, 3)).join(' ');
      if (got !== expected) wrong.push(replies.join(' | '));
      sessions += 1;
      longest = Math.max(longest, Math.round(performance.now() - began));
      await pause(20);
    }
  };
  await Promise.all([row(), row(), row(), row()]);
  process.stdin.destroy();
  console.log(JSON.stringify({ sessions, wrong: wrong.slice(0, 10), longest }));
}

function session() {
  const said = [
    'HELO client.example',
    'MAIL FROM:<a@client.example>',
    'RCPT TO:<taken@example.com>',
    'RCPT TO:<refused@example.com>',
    'DATA',
    'Subject: x\r\n\r\nx\r\n.',
    'QUIT',
  ];
  return new Promise((resolve, reject) => {
    const replies = [];
    let text = '';
    const socket = connect(25, '127.0.0.1');
    socket.setTimeout(60_000, () => reject(new Error(`no reply after ${replies.join(' | ')}`)));
    socket.on('error', reject);
    socket.on('close', () => resolve(replies));
    socket.setEncoding('latin1').on('data', (part) => {
      text += part;
      for (;;) {
        const [line, reply] = /^((?:\d{3}-.*\r\n)*(\d{3}(?: .*)?)\r\n)/.exec(text) ?? [];
        if (line === undefined) return;
        text = text.slice(line.length);
        replies.push(reply.slice(0, 3) === reply ? reply : line.trim());
        const next = said[replies.length - 1];
        if (next !== undefined) socket.write(`${next}\r\n`);
      }
    });
  });
}

await traffic(Number(process.argv[2]), process.argv[3]);
