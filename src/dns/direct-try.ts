/**
 * A try at a name server by a packet of our own: of names with characters that c-ares does not send (`=`, `:`, a space),
 * which macros of SPF make of the local part of a sender (RFC 7208 section 7).
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { known, unknown } from '../asking/answer.ts';
import { questionPacket, type Response, readResponse } from './packet.ts';
import type { Fresh, Try } from './question.ts';
import { exchangers, NO_RECORDS, type Records, type RecordType, subject } from './records.ts';

const DNS_PORT = 53;
/** Each has a socket of its own, which makes its port hard to guess. */
const MOST_TRIES = 200;

let open = 0;

/** @param server an address, or one with a port: `192.0.2.1:53`, `[2001:db8::1]:53` */
export function tryDirectly<Type extends RecordType>(
  server: string,
  type: Type,
  name: string,
): Try<Records[Type]> {
  const about = subject(type, name);
  if (open >= MOST_TRIES) {
    const reason = `${about}: more than ${MOST_TRIES} questions for such names under way`;
    return { answer: Promise.resolve(unknown('limit', reason)), abandon: () => {} };
  }
  open += 1;
  let end: (answer: Fresh<Records[Type]>) => void = () => {};
  const answer = new Promise<Fresh<Records[Type]>>((resolve) => {
    end = resolve;
  });
  const question = questionPacket(randomInt(0x10000), type, name);
  const { address, port } = addressOf(server);
  let close = (): void => {};
  const finish = (result: Fresh<Records[Type]>): void => {
    close();
    end(result);
  };
  const unavailable = (): void => finish(unknown('unavailable', about));
  const hear = (packet: Buffer): void => {
    const response = readResponse(packet, question, type);
    if (response === undefined) return; // Somebody else's, or forged: the right one may come yet.
    if (!response.isTruncated) finish(answerOf(response, type, about));
    else {
      close();
      close = overTcp(address, port, question, hear, unavailable);
    }
  };
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  close = () => {
    socket.removeAllListeners('message');
    socket.close();
    close = () => {};
  };
  socket.on('message', hear);
  socket.on('error', unavailable);
  // Packets of others do not reach a connected socket.
  socket.connect(port, address, () => socket.send(question, (error) => error && unavailable()));
  return {
    answer: answer.finally(() => {
      open -= 1;
    }),
    abandon: () => finish(unknown('timeout', about)),
  };
}

/** @returns what closes the connection */
function overTcp(
  address: string,
  port: number,
  question: Buffer,
  hear: (packet: Buffer) => void,
  fail: () => void,
): () => void {
  const socket = connect(port, address);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(question.length);
  socket.write(Buffer.concat([length, question]));
  let received = Buffer.alloc(0);
  socket.on('data', (bytes) => {
    received = Buffer.concat([received, bytes]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE()) return;
    socket.removeAllListeners('data');
    hear(received.subarray(2, 2 + received.readUInt16BE()));
    fail(); // Where that was no answer; otherwise it has ended already.
  });
  socket.on('error', fail);
  socket.on('close', fail);
  return () => {
    socket.removeAllListeners();
    socket.on('error', () => {});
    socket.destroy();
  };
}

function answerOf<Type extends RecordType>(
  { code, records }: Response,
  type: Type,
  about: string,
): Fresh<Records[Type]> {
  switch (code) {
    case 0:
    case 3: {
      if (code === 3 || records.length === 0) return known(NO_RECORDS[type]);
      const values = records.map(({ value }) => value);
      const hosts = values.flatMap((value) => (typeof value === 'string' ? [] : [value]));
      const ttl = records.reduce((least, record) => Math.min(least, record.ttl), Number.POSITIVE_INFINITY);
      return { ...known((type === 'MX' ? exchangers(hosts) : values) as unknown as Records[Type]), ttl };
    }
    case 2:
      return unknown('servfail', about);
    case 4:
    case 5:
      return unknown('refused', about);
    default:
      return unknown('protocol', about);
  }
}

function addressOf(server: string): { readonly address: string; readonly port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(server) ?? [];
  return { address: bracketed ?? plain ?? server, port: Number(port ?? DNS_PORT) };
}
