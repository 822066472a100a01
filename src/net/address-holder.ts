/**
 * Who holds an address that is in use: what can be seen of it, for the operator.
 *
 * Linux shows every TCP socket but those that are bound and neither listen nor are connected (/proc/self/net/tcp), and the
 * processes of the same user, root those of all (/proc/PID/fd). Whatever the system, a connection is tried: it shows
 * whether somebody listens, and an offer to negotiate whether that is a milter.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { endianness } from 'node:os';
import { ByteWriter } from '../milter/byte-writer.ts';
import { SMFI, SMFIC } from '../milter/constants.ts';
import { userName } from '../system/privileges.ts';
import { codeOf } from '../text/operator-error.ts';
import { type BoundAddress, formatListenAddress, reachable } from './listen-address.ts';

/** How long a program may take to accept a connection, and then to answer the offer. */
const ANSWER_MS = 1_000;

const OFFER = new ByteWriter('address', SMFIC.OPTNEG)
  .fixed('>III', [SMFI.PROT_VERSION, SMFI.CURR_ACTS, SMFI.CURR_PROT])
  .packet();

/** As in the kernel's enum of TCP states. */
export const LISTEN = 0x0a;
/** Of a connection that no process has any more, as in state TIME_WAIT. */
const NO_INODE = '0';

export type Occupant = 'milter' | 'program' | 'nobody' | 'unknown';

export interface TcpSocket {
  readonly local: BoundAddress & { kind: 'inet4' | 'inet6' };
  readonly remote: BoundAddress;
  readonly state: number;
  readonly inode: string;
}

/** @returns what was seen, in words that follow `address in use: `. */
export async function holderOf(place: BoundAddress): Promise<string> {
  const occupant = await occupantAt(place);
  const sockets = place.kind === 'unix' ? [] : tcpSockets().filter(({ local }) => meets(local, place));
  const listening = sockets.find(({ state }) => state === LISTEN);
  // One of all addresses may be of the other family only.
  if (listening && occupant !== 'nobody') {
    const what = occupant === 'milter' ? ', and answers as a milter' : '';
    const elsewhere = formatListenAddress(listening.local);
    const where = elsewhere === formatListenAddress(place) ? 'there' : `at ${elsewhere}`;
    return `${ownerOf(listening)} listens ${where}${what}`;
  }
  if (occupant === 'milter') return 'a milter answers there';
  if (occupant === 'program') return 'a program listens there, and does not answer as a milter';
  const connections = sockets.filter(({ state }) => state !== LISTEN);
  const connection = connections.find(({ inode }) => inode !== NO_INODE) ?? connections[0];
  if (connection) {
    const peer = formatListenAddress(connection.remote);
    return connection.inode === NO_INODE
      ? `nobody listens there, but the system keeps a connection from it to ${peer} that has ended (TIME_WAIT)`
      : `nobody listens there, but ${ownerOf(connection)} has a connection from it to ${peer}`;
  }
  return occupant === 'nobody'
    ? 'nobody listens there, but a socket is bound to it'
    : 'who holds it cannot be seen';
}

/** Connects, and offers to negotiate: who answers. */
export function occupantAt(place: BoundAddress): Promise<Occupant> {
  const socket = place.kind === 'unix' ? connect(place.path) : connect(place.port, reachable(place.address));
  return new Promise((resolve) => {
    let connected = false;
    const end = (occupant: Occupant): void => {
      resolve(occupant);
      socket.destroy();
    };
    socket.setTimeout(ANSWER_MS, () => end(connected ? 'program' : 'unknown'));
    socket.once('connect', () => {
      connected = true;
      socket.write(OFFER);
    });
    // The answer is a packet of the same kind: its length, and then the letter.
    socket.once('data', (bytes) => end(bytes[4] === SMFIC.OPTNEG ? 'milter' : 'program'));
    socket.once('end', () => end('program'));
    socket.once('error', (error) => {
      if (connected) end('program');
      else if (codeOf(error) === 'EAGAIN')
        end('program'); // Its queue of connections is full.
      else end(codeOf(error) === 'ECONNREFUSED' ? 'nobody' : 'unknown');
    });
  });
}

/** Can the two not be bound at a time? */
function meets(one: BoundAddress, other: BoundAddress): boolean {
  if (one.kind === 'unix' || other.kind === 'unix' || one.port !== other.port) return false;
  if (one.address === other.address) return true;
  // A socket of all IPv6 addresses may be one of all IPv4 addresses too.
  if (one.address === '::' || other.address === '::') return true;
  return one.kind === other.kind && (one.address === '0.0.0.0' || other.address === '0.0.0.0');
}

/** SOCK_STREAM, and __SO_ACCEPTCON. */
const STREAM = '0001';
const ACCEPTS = 0x10000;

/** Unix sockets that are listened on; `path` is the name each was bound to, '' for none. @throws what the system says */
export function listeningUnixSockets(): { readonly inode: string; readonly path: string }[] {
  return readFileSync('/proc/self/net/unix', 'latin1')
    .split('\n')
    .flatMap((line) => {
      // Num RefCount Protocol Flags Type St Inode Path
      const [, flags = '', type, inode = '', path = ''] =
        /^\S+ \S+ \S+ (\S+) (\S+) \S+ +(\d+)(?: (.*))?$/.exec(line) ?? [];
      return type === STREAM && (Number.parseInt(flags, 16) & ACCEPTS) !== 0 ? [{ inode, path }] : [];
    });
}

export function tcpSockets(): TcpSocket[] {
  return ['/proc/self/net/tcp', '/proc/self/net/tcp6'].flatMap((file) => {
    let text: string;
    try {
      text = readFileSync(file, 'latin1');
    } catch {
      return []; // No IPv6, or no Linux.
    }
    return text
      .split('\n')
      .slice(1)
      .filter((line) => line !== '')
      .map((line) => {
        const [, local = '', remote = '', state = '', , , , , , inode = ''] = line.trim().split(/\s+/);
        return {
          local: kernelAddress(local),
          remote: kernelAddress(remote),
          state: Number.parseInt(state, 16),
          inode,
        };
      });
  });
}

/** `0100007F:22BF` is 127.0.0.1, port 8895: words of 32 bits in the machine's order. */
function kernelAddress(text: string): TcpSocket['local'] {
  const [digits = '', port = ''] = text.split(':');
  const bytes = Buffer.from(digits, 'hex');
  if (endianness() === 'LE') bytes.swap32();
  const isMapped = bytes.length === 16 && bytes.toString('hex', 0, 12) === '00000000000000000000ffff';
  if (bytes.length === 4 || isMapped) {
    return {
      kind: 'inet4',
      address: [...bytes.subarray(-4)].join('.'),
      port: Number.parseInt(port, 16),
    };
  }
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  const address = new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
  return { kind: 'inet6', address, port: Number.parseInt(port, 16) };
}

/** `process 4711 (nginx)`, where that can be seen. */
function ownerOf({ inode }: TcpSocket): string {
  for (const pid of processes()) {
    try {
      const isHolder = readdirSync(`/proc/${pid}/fd`).some(
        (fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`,
      );
      if (isHolder) return `process ${pid} (${nameOf(pid)})`;
    } catch {
      // It has ended, or is another user's.
    }
  }
  return `a process that user ${userName()} cannot see`;
}

/** The oldest first: of a program with workers, the one that watches over them. */
function processes(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((one, other) => one - other);
}

function nameOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'latin1')
    .replace(/[^\x20-\x7e]/g, '')
    .replace(/^(smtpf-milter).*/, '$1');
}
