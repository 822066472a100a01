/**
 * Sockets that are bound here and accepted on by worker processes, which inherit their descriptors.
 *
 * The process that binds must not accept, and must keep the socket while workers come and go: connections wait in its
 * queue meanwhile. net.Server accepts as soon as it listens, and node:cluster closes a shared socket when its last worker
 * ends. So the handle is made as node:cluster makes it, by a function of `net` that is exported for it but not
 * documented (Node 20 to 24), and nothing else of Node's inside is used: workers listen on the inherited descriptor.
 */
import { closeSync } from 'node:fs';
import net, { type AddressInfo, type ListenOptions } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { BoundSocket } from './endpoint.ts';
import type { HandedSocket } from './handed-sockets.ts';

interface Handle {
  readonly fd: number;
  getsockname?(into: object): number;
  close(): void;
}

type HandleMaker = (
  address: string,
  port: number,
  type: number,
  fd: undefined,
  flags: number,
) => Handle | number;

/** UV_TCP_IPV6ONLY */
const IPV6_ONLY = 1;

export class PassiveSocket implements BoundSocket {
  readonly #handle: Handle;
  readonly #address: AddressInfo | string;

  private constructor(handle: Handle, address: AddressInfo | string) {
    this.#handle = handle;
    this.#address = address;
  }

  /** Binds it. @throws Error with the `code` of the system. */
  static async open(where: ListenOptions | HandedSocket): Promise<PassiveSocket> {
    if ('address' in where) return new PassiveSocket(descriptor(where.fd), '');
    const { path, host = '', port = 0, ipv6Only = false } = where;
    if (path !== undefined) return new PassiveSocket(made(path, -1, -1, 0), path);
    const version = net.isIP(host);
    const handle = made(host, port, version, ipv6Only && version === 6 ? IPV6_ONLY : 0);
    const bound = { address: '', family: '', port: 0 };
    // An address in use shows here: libuv keeps that error of bind() for later.
    const error = handle.getsockname?.(bound) ?? 0;
    if (error < 0) {
      handle.close();
      throw systemError(error, 'bind');
    }
    return new PassiveSocket(handle, bound);
  }

  get fd(): number {
    return this.#handle.fd;
  }

  address(): AddressInfo | string {
    return this.#address;
  }

  close(): void {
    this.#handle.close();
  }
}

/** One that whoever started the program has bound. */
function descriptor(fd: number): Handle {
  return { fd, close: () => closeSync(fd) };
}

function made(address: string, port: number, type: number, flags: number): Handle {
  const make: unknown = Reflect.get(net, '_createServerHandle');
  if (typeof make !== 'function') {
    throw new Error(`Node ${process.version} cannot share a socket between processes: use --workers 0`);
  }
  const handle = (make as HandleMaker)(address, port, type, undefined, flags);
  if (typeof handle === 'number') throw systemError(handle, 'bind');
  return handle;
}

function systemError(errno: number, syscall: string): Error {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${syscall} ${code}`), { code, errno, syscall });
}
