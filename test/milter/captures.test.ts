/**
 * The codec against what Postfix and Sendmail sent and took: test/captures.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wholeOf } from '../../src/milter/body-bytes.ts';
import type { Command } from '../../src/milter/command.ts';
import { encodeReply } from '../../src/milter/encode-reply.ts';
import { macroPairs } from '../../src/milter/macros.ts';
import type { Reply } from '../../src/milter/reply.ts';
import { bytesFrom, parseTranscript, readTranscripts, type TranscriptPacket } from '../helpers/transcript.ts';
import { commandsOf } from './commands-of.ts';

const TRANSCRIPTS = readTranscripts();

/** What the remark behind a packet calls the command. */
const KIND: Readonly<Record<string, Command['kind']>> = {
  OPTNEG: 'negotiate',
  MACRO: 'macro',
  CONNECT: 'connect',
  HELO: 'helo',
  MAIL: 'mail',
  RCPT: 'rcpt',
  DATA: 'data',
  HEADER: 'header',
  EOH: 'endOfHeaders',
  BODY: 'body',
  BODYEOB: 'endOfMessage',
  UNKNOWN: 'unknown',
  ABORT: 'abort',
  QUIT: 'quit',
};

/** The strings of a command in the order of the wire, as the remarks show them. */
function stringsOf(command: Command): readonly string[] {
  switch (command.kind) {
    case 'macro':
      return macroPairs(command.text);
    case 'helo':
      return [command.name];
    case 'mail':
    case 'rcpt':
      return [command.address, ...command.params];
    case 'header':
      return [command.name, command.value];
    case 'unknown':
      return [command.line];
    case 'body':
      return [wholeOf(command.bytes).toString('latin1')];
    default:
      return [];
  }
}

function remarkedStrings({ comment }: TranscriptPacket): string[] {
  return [...comment.matchAll(/"((?:[^"\\]|\\.|"(?! |$))*)"/g)].map(([, text = '']) =>
    text.replace(/\\(x..|.)/g, (_, code: string) =>
      code.startsWith('x')
        ? String.fromCharCode(Number.parseInt(code.slice(1), 16))
        : ({ n: '\n', r: '\r', t: '\t' }[code] ?? code),
    ),
  );
}

test('there are transcripts of both MTAs', () => {
  for (const prefix of ['postfix-', 'sendmail-']) assert.ok(readTranscripts(prefix).length > 5);
});

for (const transcript of TRANSCRIPTS) {
  const said = transcript.packets.filter(({ from }) => from === 'MTA');

  test(`${transcript.name}: every packet is the command its remark says`, () => {
    const commands = commandsOf(said.map(({ bytes }) => bytes));
    assert.equal(commands.length, said.length);
    for (const [index, command] of commands.entries()) {
      const packet = said[index]!;
      const place = `${transcript.name}.txt:${packet.line}`;
      assert.equal(command.kind, KIND[packet.comment.split(' ')[0] ?? ''], place);
      if (command.kind !== 'connect') assert.deepEqual(stringsOf(command), remarkedStrings(packet), place);
    }
  });

  test(`${transcript.name}: the same commands byte by byte and cut at every byte`, () => {
    const stream = bytesFrom('MTA', transcript);
    const commands = commandsOf([stream]);
    assert.equal(commands.length, said.length);
    assert.deepEqual(commandsOf(Array.from(stream, (byte) => Buffer.from([byte]))), commands);
    const decoded = JSON.stringify(commands);
    for (let at = 1; at < stream.length; at++) {
      const cut = commandsOf([stream.subarray(0, at), stream.subarray(at)]);
      assert.ok(JSON.stringify(cut) === decoded, `cut at ${at}`);
    }
  });

  test(`${transcript.name}: our encoder writes the replies the MTA took`, () => {
    for (const packet of transcript.packets.filter(({ from }) => from === 'US')) {
      const [name = ''] = packet.comment.split(' ');
      let reply: Reply;
      if (name === 'OPTNEG') {
        const [version = 0, actions = 0, protocol = 0] = [5, 9, 13].map((at) =>
          packet.bytes.readUInt32BE(at),
        );
        reply = { kind: 'negotiate', version, actions, protocol, symbols: [] };
      } else if (name === 'REPLYCODE') {
        reply = { kind: 'replyCode', text: remarkedStrings(packet).join() };
      } else {
        assert.equal(name, 'CONTINUE');
        reply = { kind: 'continue' };
      }
      assert.deepEqual(encodeReply(reply), packet.bytes, `${transcript.name}.txt:${packet.line}`);
    }
  });
}

test('a client is the same plain address whichever MTA tells of it', () => {
  for (const { name, packets } of TRANSCRIPTS) {
    const connect = commandsOf(packets.filter(({ from }) => from === 'MTA').map(({ bytes }) => bytes)).find(
      ({ kind }) => kind === 'connect',
    );
    assert.ok(connect?.kind === 'connect');
    const { client } = connect;
    assert.ok(client.family === 'inet4' || client.family === 'inet6');
    assert.equal(client.address, name.endsWith('ipv6') ? '::1' : '127.0.0.1');
    assert.ok(client.port > 0);
  }
});

test('a transcript line that is no whole packet is refused', () => {
  for (const line of ['MTA> 00 00 00 02 44', 'YOU> 00 00 00 01 63', 'MTA> 0 0', 'x', 'US> 00 00 00 00']) {
    assert.throws(() => parseTranscript(`# remark\n${line}\n`), { message: `transcript line 2: ${line}` });
  }
});
