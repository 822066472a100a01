/** A real listening socket whose connections are served by Connection, with a policy of the test, and an MTA for it. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SliceQueue } from '../../src/lua/context/slice-queue.ts';
import { wholeOf } from '../../src/milter/body-bytes.ts';
import type { Interests, Policy, PolicyEvent, SessionInfo, Verdict } from '../../src/milter/policy.ts';
import { DEFAULT_MESSAGE_LIMITS, type MessageLimits } from '../../src/milter/transaction.ts';
import { Connection, type ConnectionTimeouts } from '../../src/net/connection.ts';
import { Crowd } from '../../src/net/crowd.ts';
import { acceptHandles, type MtaSocket } from '../../src/net/handle-socket.ts';
import { Logger } from '../../src/syslog/log.ts';
import type { LogRecord } from '../../src/syslog/message.ts';
import { EVERYTHING } from '../helpers/interests.ts';

export type Decide = (event: PolicyEvent, policy: TestPolicy) => Verdict | Promise<Verdict>;

/** Remembers what it is told and decides as the test says. */
export class TestPolicy implements Policy {
  readonly events: PolicyEvent[] = [];
  readonly session: SessionInfo;
  readonly interests: Interests;
  cancelled = 0;
  disposed = 0;
  /** Ends what the policy waits for, when it is cancelled. */
  onCancel: (() => void) | undefined;
  readonly #decide: Decide;

  constructor(session: SessionInfo, interests: Interests, decide: Decide) {
    this.session = session;
    this.interests = interests;
    this.#decide = decide;
  }

  handle(event: PolicyEvent): Verdict | Promise<Verdict> {
    if (this.disposed > 0) throw new Error(`${event.kind} after dispose`);
    this.events.push(event.kind === 'chunk' ? { ...event, bytes: Buffer.from(wholeOf(event.bytes)) } : event);
    return this.#decide(event, this);
  }

  cancel(): void {
    this.cancelled += 1;
    this.onCancel?.();
  }

  dispose(): void {
    this.disposed += 1;
  }

  get kinds(): string {
    return this.events.map(({ kind }) => kind).join(' ');
  }
}

/** One accepted connection, from the server's side. */
export interface Accepted {
  readonly socket: MtaSocket;
  readonly remotePort: number | undefined;
  readonly connection: Connection;
  /** Each buffer given to the socket's write(). */
  readonly writes: Buffer[];
  /** Settles when the connection has been told that the socket is closed. */
  readonly closed: Promise<void>;
  /** How many bytes have been given to the connection. */
  bytesRead: number;
}

export interface TestServerSettings {
  readonly decide?: Decide;
  readonly interests?: Interests;
  readonly timeouts?: Partial<ConnectionTimeouts>;
  readonly limits?: MessageLimits;
  /** Opens the policies later, as one that loads a script does. */
  readonly openLater?: boolean;
}

export class TestServer {
  readonly log: string[] = [];
  readonly policies: TestPolicy[] = [];
  readonly accepted: Accepted[] = [];
  readonly slices = new SliceQueue();
  readonly crowd = new Crowd(() => this.accepted.length);
  readonly #server: Server;
  #sessions = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(settings: TestServerSettings = {}): Promise<TestServer> {
    const server = createServer({ noDelay: true });
    const self = new TestServer(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    assert.ok(acceptHandles(server, (socket) => self.#serve(socket, settings)));
    return self;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async connect(): Promise<Mta> {
    const socket = connect({ port: this.port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    const { localPort } = socket;
    for (;;) {
      const peer = this.accepted.find(({ remotePort }) => remotePort === localPort);
      if (peer) return new Mta(socket, peer);
      await nextTurn();
    }
  }

  /** Ends everything; every policy must have been disposed of then, once. */
  async stop(): Promise<void> {
    this.#server.close();
    for (const { connection } of this.accepted) connection.destroy();
    await Promise.all(this.accepted.map(({ connection }) => connection.closed));
    for (const { session, disposed } of this.policies) {
      if (disposed !== 1) throw new Error(`policy ${session.id} was disposed of ${disposed} times`);
    }
  }

  #serve(
    socket: MtaSocket,
    { decide = () => ({ kind: 'continue' }), interests = EVERYTHING, ...more }: TestServerSettings,
  ) {
    this.crowd.joined();
    const writes: Buffer[] = [];
    const write = socket.write.bind(socket);
    socket.write = ((chunk: Buffer) => {
      writes.push(chunk);
      return write(chunk);
    }) as typeof socket.write;
    let close: () => void;
    const closed = new Promise<void>((resolve) => {
      close = resolve;
    });
    const on = socket.on.bind(socket) as (event: string, listener: (chunk: Buffer) => void) => void;
    socket.on = (event: string, listener: (value: never) => void) =>
      on(event, (value) => {
        if (event === 'data') accepted.bytesRead += value.length;
        listener(value as never);
        if (event === 'close') close();
      });
    const sink = {
      write: ({ text }: LogRecord) => {
        this.log.push(text);
      },
      close: async () => {},
      dropped: 0,
    };
    const open = (session: SessionInfo) => {
      const policy = new TestPolicy(session, interests, decide);
      this.policies.push(policy);
      return policy;
    };
    const connection = new Connection(socket, {
      policies: {
        open: (session) =>
          more.openLater
            ? new Promise((resolve) => setImmediate(() => resolve(open(session))))
            : open(session),
      },
      log: new Logger(sink, 'info'),
      timeouts: {
        negotiationMs: 10_000,
        packetMs: 10_000,
        idleMs: 10_000,
        progressMs: 10_000,
        ...more.timeouts,
      },
      limits: more.limits ?? DEFAULT_MESSAGE_LIMITS,
      slices: this.slices,
      crowd: this.crowd,
      nextSessionId: () => `s${++this.#sessions}`,
    });
    const accepted = { socket, remotePort: socket.remotePort, connection, writes, closed, bytesRead: 0 };
    this.accepted.push(accepted);
  }
}

/** The MTA's side of a connection: bytes out, packets in. */
export class Mta {
  readonly socket: Socket;
  readonly peer: Accepted;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  constructor(socket: Socket, peer: Accepted) {
    this.socket = socket;
    this.peer = peer;
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Writes the parts one after the other, each when the server has taken in the one before. */
  async send(...parts: readonly Buffer[]): Promise<void> {
    for (const part of parts) {
      const until = this.peer.bytesRead + part.length;
      this.socket.write(part);
      while (this.peer.bytesRead < until && !this.peer.socket.destroyed) await nextTurn();
    }
  }

  /** The next whole packet as command letter and payload; undefined at the end of the connection. */
  async packet(): Promise<{ readonly letter: string; readonly payload: Buffer } | undefined> {
    for (;;) {
      const bytes = this.#received;
      if (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) {
        const end = 4 + bytes.readUInt32BE(0);
        this.#received = bytes.subarray(end);
        return { letter: bytes.toString('latin1', 4, 5), payload: bytes.subarray(5, end) };
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Letters of the next `count` packets. */
  async letters(count: number): Promise<string> {
    let letters = '';
    while (letters.length < count) {
      const packet = await this.packet();
      if (!packet) return `${letters}#`;
      letters += packet.letter;
    }
    return letters;
  }

  /** Everything up to the end of the connection. */
  async rest(): Promise<Buffer> {
    while (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const rest = this.#received;
    this.#received = Buffer.alloc(0);
    return rest;
  }

  /** Bytes that have come and were not asked for. */
  get pending(): Buffer {
    return this.#received;
  }
}
