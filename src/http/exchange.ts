/**
 * One HTTP request and its response. Written on node:http: nothing of the environment (`http_proxy` and the like) has a
 * say in it.
 */
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  /** Names as they are written; values in latin1. */
  readonly headers: Readonly<Record<string, string>>;
  /** A body in one piece, or in pieces with its length. */
  readonly body?: Buffer | { readonly size: number; pieces(): AsyncIterable<Buffer> } | undefined;
  /** Bytes of a response's body. */
  readonly most: number;
  /** Which address a name leads to; without it, as the system says. */
  readonly lookup?: LookupFunction | undefined;
  /** How reasons name it: method and address without it. */
  readonly subject?: string | undefined;
  /** A unix socket to which the connection is made, wherever the URL leads. */
  readonly socketPath?: string | undefined;
}

export interface HttpResponse {
  readonly code: number;
  readonly body: Buffer;
  /** Names in lower case; several values of one name are joined by `, `. latin1 */
  readonly headers: ReadonlyMap<string, string>;
}

/**
 * Never rejects; a response of any code is known. What fails on the way, and a body that is longer than `most`, is
 * unknown.
 */
export async function exchange(request: HttpRequest, patience: Patience): Promise<Answer<HttpResponse>> {
  const { url, method, most } = request;
  const subject = request.subject ?? `${method} ${url.origin}${url.pathname}`;
  const over = new AbortController();
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    over.abort();
  }, patience.timeoutMs);
  const cancel = () => over.abort();
  patience.cancelled.addEventListener('abort', cancel, { once: true });
  if (patience.cancelled.aborted) over.abort();
  try {
    const response = await send(request, over.signal);
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of response) {
      size += piece.length;
      if (size > most) return unknown('limit', `${subject}: more than ${most} bytes`);
      pieces.push(piece);
    }
    if (!response.complete) return unknown('unavailable', `${subject}: closed in the middle of the response`);
    return known({
      code: response.statusCode ?? 0,
      body: Buffer.concat(pieces),
      headers: headersOf(response),
    });
  } catch (error) {
    if (isLate) return unknown('timeout', `${subject}: no answer in ${patience.timeoutMs / 1000} s`);
    if (over.signal.aborted) return unknown('unavailable', `${subject}: cancelled`);
    return failure(subject, error);
  } finally {
    clearTimeout(timer);
    patience.cancelled.removeEventListener('abort', cancel);
    over.abort();
  }
}

function failure(subject: string, error: unknown): Answer<never> {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const text = error instanceof Error ? error.message : String(error);
  if (code === REFUSED) return unknown('refused', `${subject}: ${text}`);
  return unknown(code.startsWith('HPE_') ? 'protocol' : 'unavailable', `${subject}: ${code || text}`);
}

/** The code of an error that says that an address may not be asked. */
export const REFUSED = 'ERR_ADDRESS_REFUSED';

function send(
  { url, method, headers, body, lookup, socketPath }: HttpRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const length =
      body === undefined ? {} : { 'Content-Length': Buffer.isBuffer(body) ? body.length : body.size };
    const start = url.protocol === 'https:' ? requestHttps : requestHttp;
    const outgoing = start(url, {
      method,
      headers: { ...headers, ...length },
      agent: false,
      signal,
      ...(lookup && { lookup }),
      ...(socketPath !== undefined && { socketPath }),
    });
    outgoing.on('response', resolve);
    outgoing.on('error', reject);
    if (body === undefined || Buffer.isBuffer(body)) outgoing.end(body);
    else writeAll(outgoing, body).catch(reject);
  });
}

async function writeAll(
  outgoing: ReturnType<typeof requestHttp>,
  body: { pieces(): AsyncIterable<Buffer> },
): Promise<void> {
  let isDone = false;
  let wake = () => {};
  const done = () => {
    isDone = true;
    wake();
  };
  outgoing.on('close', done);
  outgoing.on('response', done);
  outgoing.on('drain', () => wake());
  for await (const piece of body.pieces()) {
    if (isDone) return;
    if (outgoing.write(piece)) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  outgoing.end();
}

function headersOf(response: IncomingMessage): Map<string, string> {
  const headers = new Map<string, string>();
  for (let i = 0; i + 1 < response.rawHeaders.length; i += 2) {
    const name = (response.rawHeaders[i] ?? '').toLowerCase();
    const value = response.rawHeaders[i + 1] ?? '';
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}
