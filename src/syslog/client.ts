/**
 * Log lines to a log server over UDP or TCP: the only user of syslog-client.
 *
 * What syslog-client 1.1.1 leaves to us: its RFC 3164 lines have no tag and turn bytes into UTF-8 (so we hand it
 * finished lines); on a slow server it buffers without bound (so the queue in front hands over a window only); it takes
 * a name for an IPv4 one and asks for the address of each UDP line again (so we resolve); it never closes what timed
 * out or failed (so each connection is a new client). Its `error` event must always have a listener.
 *
 * A line counts as sent when the kernel has it. What the kernel still held when a TCP connection broke is lost:
 * syslog over TCP has no acknowledgement.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import { type LookupAddress, lookup } from 'node:dns';
import { isIP, Socket } from 'node:net';
import { hostname } from 'node:os';
import { Client, Transport } from 'syslog-client';
import { formatSyslog, type LogRecord } from './message.ts';
import type { Carrier, SendResult } from './queued-sink.ts';
import { formatSyslogTarget, type SyslogTarget } from './target.ts';

type Settled = (outcome: SendResult) => void;

type RemoteTarget = Extract<SyslogTarget, { kind: 'udp' | 'tcp' }>;

/** RFC 3164 section 4.1; also one unfragmented datagram on any network. */
const MAX_UDP_BYTES = 1024;

/** rsyslog's default `$MaxMessageSize`: it cuts longer lines in two. */
const MAX_TCP_BYTES = 8192;

/** So many datagrams at once do not overflow a receiver's socket buffer; the next go PACE_MS later. */
const UDP_WINDOW = { lines: 64, bytes: 64 << 10 };
const PACE_MS = 1;

const TCP_WINDOW = { lines: 512, bytes: 64 << 10 };

/** How long the address of a UDP server's name is used. */
const ADDRESS_MS = 600_000;

const KEEP_ALIVE_MS = 60_000;

/** syslog-client takes an idle connection for a dead one; this is the longest timer there is. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;

class LineClient extends Client {
  declare readonly transport_?: Socket | UdpSocket;

  /** The line is finished, one character per byte. */
  override buildFormattedMessage(line: string): Buffer {
    return Buffer.from(line, 'latin1');
  }

  /** The original forgets its socket without closing it. */
  override onError(error: Error): Client {
    if (this.transport_ !== undefined) this.close();
    return super.onError(error);
  }
}

export class RemoteCarrier implements Carrier {
  readonly name: string;
  readonly window: { readonly lines: number; readonly bytes: number };
  readonly pauseMs = { first: 100, most: 5000 };
  readonly #target: RemoteTarget;
  readonly #hostname: string;
  #client: LineClient | null = null;
  #clientSince = 0;
  /** Counts resets: an address that arrives for an earlier one is ignored. */
  #epoch = 0;
  /** Lines that wait for the server's address; null when none is being looked up. */
  #resolving: [Buffer, Settled][] | null = null;
  /** The callback of the latest line: failing it fails all that are in flight. */
  #latest: Settled | null = null;
  /** UDP lines the kernel has taken; #confirm reports them as sent. */
  #taken: Settled[] = [];
  #pace: NodeJS.Timeout | null = null;

  constructor(target: RemoteTarget) {
    this.#target = target;
    this.name = formatSyslogTarget(target);
    this.window = target.kind === 'udp' ? UDP_WINDOW : TCP_WINDOW;
    // RFC 3164 section 4.1.2: without the domain.
    this.#hostname =
      hostname()
        .replace(/\..*/, '')
        .replace(/[^!-~]/g, '_') || 'localhost';
  }

  format(record: LogRecord, time: Date): Buffer {
    if (this.#target.kind === 'udp') {
      return formatSyslog(record, time, process.pid, this.#hostname, MAX_UDP_BYTES);
    }
    const line = formatSyslog(record, time, process.pid, this.#hostname, MAX_TCP_BYTES);
    return Buffer.concat([line, Buffer.from('\n')]); // Framing: RFC 6587 section 3.4.2.
  }

  send(line: Buffer, settled: Settled): void {
    this.#latest = settled;
    this.#forgetOldAddress();
    if (this.#client !== null) this.#log(this.#client, line, settled);
    else if (this.#resolving !== null) this.#resolving.push([line, settled]);
    else if (isIP(this.#target.host) !== 0) this.#log(this.#connect(this.#target.host), line, settled);
    else this.#resolve(line, settled);
  }

  #forgetOldAddress(): void {
    const { kind, host } = this.#target;
    if (kind !== 'udp' || isIP(host) !== 0 || this.#client === null || this.#taken.length > 0) return;
    if (performance.now() - this.#clientSince > ADDRESS_MS) this.reset();
  }

  #resolve(line: Buffer, settled: Settled): void {
    const epoch = this.#epoch;
    const waiting: [Buffer, Settled][] = [[line, settled]];
    this.#resolving = waiting;
    lookup(this.#target.host, { all: true }, (error, addresses) => {
      if (epoch !== this.#epoch) return;
      this.#resolving = null;
      const address = this.#choose(addresses ?? []);
      if (error !== null || address === undefined) {
        settled(error ?? new Error('no address'));
        return;
      }
      const client = this.#connect(address);
      for (const [early, earlySettled] of waiting) this.#log(client, early, earlySettled);
    });
  }

  /** UDP reports no failure, so the address more servers listen on comes first; TCP tries one after the other. */
  #choose(addresses: readonly LookupAddress[]): string | undefined {
    if (this.#target.kind === 'tcp') return addresses[this.#epoch % addresses.length]?.address;
    return (addresses.find(({ family }) => family === 4) ?? addresses[0])?.address;
  }

  #connect(address: string): LineClient {
    const { kind, port } = this.#target;
    const transport = kind === 'udp' ? Transport.Udp : Transport.Tcp;
    const client = new LineClient(address, { port, transport, tcpTimeout: NO_TIMEOUT_MS });
    const lost = (error: Error): void => {
      if (this.#client !== client) return;
      this.reset();
      this.#latest?.(error);
    };
    client.on('error', lost);
    client.on('close', () => lost(new Error('connection closed')));
    this.#client = client;
    this.#clientSince = performance.now();
    return client;
  }

  #log(client: LineClient, line: Buffer, settled: Settled): void {
    // log() writes into its options: a new object each time.
    client.log(line.toString('latin1'), {}, (error) => {
      if (client !== this.#client) {
        client.close(); // Given up while it was connecting.
      } else if (error) {
        settled(error);
      } else if (this.#target.kind === 'udp') {
        this.#taken.push(settled);
        this.#pace ??= setTimeout(() => this.#confirm(), PACE_MS).unref();
      } else {
        if (client.transport_ instanceof Socket) client.transport_.setKeepAlive(true, KEEP_ALIVE_MS);
        settled('sent');
      }
    });
  }

  #confirm(): void {
    this.#pace = null;
    const taken = this.#taken;
    this.#taken = [];
    for (const settled of taken) settled('sent');
  }

  reset(): void {
    this.#epoch++;
    this.#resolving = null;
    this.#taken = [];
    const client = this.#client;
    this.#client = null; // First: close() may report itself at once.
    client?.close();
  }

  close(): void {
    if (this.#pace !== null) clearTimeout(this.#pace);
    this.reset();
  }
}
