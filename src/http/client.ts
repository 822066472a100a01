/** Requests to where a URL leads, redirects included, within one time and past a guard of addresses. */
import { type Answer, type Patience, unknown } from '../asking/answer.ts';
import { exchange, type HttpRequest, type HttpResponse } from './exchange.ts';
import type { AddressGuard } from './guard.ts';

/** Headers that are for the host that they were given for. */
const PRIVATE = /auth|cookie|token|key|secret|pass|session|credential|signature/i;

/** @param redirects how many are followed; the last response is the answer where there are more */
export async function fetchUrl(
  request: Omit<HttpRequest, 'lookup'>,
  redirects: number,
  guard: AddressGuard,
  patience: Patience,
): Promise<Answer<HttpResponse>> {
  const deadline = performance.now() + patience.timeoutMs;
  let current = request;
  for (let left = redirects; ; left--) {
    const problem = problemOf(current.url, guard);
    if (problem !== undefined) return problem;
    // The whole time for the first, so that a reason names it as it was given.
    const isFirst = current === request;
    const timeoutMs = isFirst ? patience.timeoutMs : Math.max(1, Math.ceil(deadline - performance.now()));
    const answer = await exchange({ ...current, lookup: guard.lookup }, { ...patience, timeoutMs });
    if (answer.kind === 'unknown') return answer;
    const next = left > 0 ? redirected(current, answer.value) : undefined;
    if (next === undefined) return answer;
    current = next;
  }
}

function problemOf(url: URL, guard: AddressGuard): Answer<never> | undefined {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return unknown('refused', `${url.protocol} is neither http: nor https:`);
  }
  return guard.mayAskHost(url.hostname)
    ? undefined
    : unknown('refused', `${url.origin}: an address that a policy may not ask`);
}

/** What a redirect asks for; undefined where the response is none. */
function redirected(
  request: Omit<HttpRequest, 'lookup'>,
  { code, headers }: HttpResponse,
): Omit<HttpRequest, 'lookup'> | undefined {
  const location = headers.get('location');
  if (![301, 302, 303, 307, 308].includes(code) || location === undefined) return undefined;
  const url = URL.canParse(location, request.url.href) ? new URL(location, request.url) : undefined;
  if (url === undefined) return undefined;
  const isSame = url.origin === request.url.origin;
  const headersLeft = isSame
    ? request.headers
    : Object.fromEntries(Object.entries(request.headers).filter(([name]) => !PRIVATE.test(name)));
  url.username = '';
  url.password = '';
  const keepsMethod = code === 307 || code === 308 || request.method === 'GET';
  return {
    ...request,
    url,
    headers: headersLeft,
    ...(keepsMethod ? {} : { method: 'GET' as const, body: undefined }),
  };
}
