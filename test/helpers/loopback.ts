/** Ports on loopback for servers that cannot be given port 0. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';

// Below Linux's range for outgoing connections (32768 and up): none of those can take a port while its server is down.
const LOWEST = 12_000;
const HIGHEST = 32_000;

/** Is there a `::1` here? Containers often have none. */
export function hasIPv6(): boolean {
  return Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ address }) => address === '::1'),
  );
}

/** Those that this process has been given: none is given twice. */
const given = new Set<number>();

/** A port that is free on 127.0.0.1, and on ::1 where there is one. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST);
    if (given.has(port)) continue;
    given.add(port);
    if ((await isFree(port, '127.0.0.1')) && (!hasIPv6() || (await isFree(port, '::1')))) return port;
  }
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
