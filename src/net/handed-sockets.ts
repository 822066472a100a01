/**
 * Sockets that the program is started with: systemd binds those of a .socket unit, keeps them while the program is started
 * anew, and connections wait in their queues meanwhile.
 */
import { readlinkSync } from 'node:fs';
import type { HandedDescriptor } from '../system/handed-descriptors.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';
import { LISTEN, listeningUnixSockets, tcpSockets } from './address-holder.ts';
import type { BoundAddress } from './listen-address.ts';

export interface HandedSocket {
  readonly fd: number;
  readonly address: BoundAddress;
}

export class HandedSockets {
  readonly #untaken: Set<HandedDescriptor>;

  constructor(descriptors: readonly HandedDescriptor[]) {
    this.#untaken = new Set(descriptors);
  }

  /** All sockets of a name. @throws OperatorError when there is none, or one is not to be listened on */
  take(name: string): HandedSocket[] {
    const meant = [...this.#untaken].filter((descriptor) => descriptor.name === name);
    if (meant.length === 0) throw new OperatorError(this.#none(), EXIT.config);
    return meant.map((descriptor) => {
      this.#untaken.delete(descriptor);
      return { fd: descriptor.fd, address: addressOf(descriptor) };
    });
  }

  /** Nobody would ever answer on what is left. @throws OperatorError */
  requireAllTaken(): void {
    const [left] = this.#untaken;
    if (left === undefined) return;
    const { name, fd } = left;
    throw new OperatorError(
      `systemd hands over a socket ${JSON.stringify(name)} (descriptor ${fd}) that no option names: --listen fd:${name}, or stop and disable its .socket unit`,
      EXIT.config,
    );
  }

  #none(): string {
    const names = [...new Set([...this.#untaken].map((left) => left.name))];
    const found =
      names.length === 0
        ? 'the program was started without sockets'
        : `the sockets it was started with are ${names.join(', ')}`;
    return `${found}: FileDescriptorName= of a .socket unit names one, and systemctl start of that unit has it handed over`;
  }
}

function addressOf({ fd, name }: HandedDescriptor): BoundAddress {
  const inode = /^socket:\[(\d+)\]$/.exec(linkOf(fd))?.[1];
  const tcp = tcpSockets().find((socket) => socket.inode === inode && socket.state === LISTEN);
  const found = tcp?.local ?? unixSocket(inode);
  if (found !== undefined) return found;
  throw new OperatorError(
    `descriptor ${fd} (${name}) is no stream socket that listens: ListenStream= with a path or a port, and Accept=no, in the .socket unit`,
    EXIT.config,
  );
}

function linkOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return ''; // No such descriptor.
  }
}

function unixSocket(inode: string | undefined): BoundAddress | undefined {
  try {
    const path = listeningUnixSockets().find((socket) => socket.inode === inode)?.path ?? '';
    return path.startsWith('/') ? { kind: 'unix', path, handed: true } : undefined;
  } catch {
    return undefined; // Nobody can tell.
  }
}
