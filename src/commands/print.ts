/** Standard output that is read slowly: a pipe takes what is read, and Node keeps the rest until then. */
import type { Writable } from 'node:stream';

/**
 * Who prints without end waits for this, so that no more gathers here than is read.
 * @returns false when nobody reads any more.
 */
export function print(output: string | Buffer): Promise<boolean> {
  return new Promise((done) => {
    process.stdout.write(output, (error) => done((error ?? undefined) === undefined));
  });
}

/** Settles when all that was written has been taken, or nobody reads any more: `process.exit` throws the rest away. */
export async function flushed(...streams: readonly Writable[]): Promise<void> {
  await Promise.all(
    streams.map((stream) => stream.writable && new Promise<void>((done) => stream.write('', () => done()))),
  );
}
