/** Whether what a policy asks can be reached: the DNS, the store in Redis, scanners. Nothing is written there. */
import { getServers, promises } from 'node:dns';
import { connect } from 'node:net';
import type { Options } from '../options/option-table.ts';
import { SharedStore } from '../store/store.ts';
import { type Account, nameOf } from '../system/privileges.ts';
import { codeOf, systemReason } from '../text/operator-error.ts';
import { look, option, quoted, shell } from './finding.ts';
import { obstaclesTo } from './reach.ts';
import type { Scene } from './scene.ts';

const PATIENCE_MS = 5_000;

export async function checkServices(scene: Scene): Promise<void> {
  await Promise.all([
    checkDns(scene),
    checkStore(scene),
    ...scannersOf(scene.options).map((one) => checkScanner(scene, one)),
  ]);
}

/** Each server by itself, where the policy asks the DNS. */
async function checkDns({ options, policy, findings }: Scene): Promise<void> {
  if (!policy.usesDns) return;
  const servers = options.dnsServer.length > 0 ? options.dnsServer : getServers();
  const asked = await Promise.all(
    servers.map(async (server) => ({ server, silence: await dnsSilence(server, options.dnsTimeoutMs) })),
  );
  const answering = asked.filter(({ silence }) => silence === undefined).map(({ server }) => server);
  for (const { server, silence } of asked) {
    if (silence === undefined) findings.right('DNS', `${server} answers`);
    else
      findings.add({
        id: 'dns-unreachable',
        severity: answering.length === 0 ? 'error' : 'warning',
        where: 'DNS',
        problem: `the policy asks the DNS, and the server ${server} does not answer (${silence})`,
        mend:
          answering.length > 0
            ? [option(answering.map((one) => `--dns-server ${one}`).join(' '))]
            : [look(`dig @${server.replace(/:\d+$/, '')} NS .`)],
      });
  }
}

/** Why a server does not answer; undefined where it does, whatever it says. */
async function dnsSilence(server: string, timeout: number): Promise<string | undefined> {
  const resolver = new promises.Resolver({ timeout, tries: 1 });
  resolver.setServers([server]);
  try {
    await resolver.resolveNs('.');
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    return ['ECONNREFUSED', 'ETIMEOUT', 'ECANCELLED', 'ENETUNREACH', 'EHOSTUNREACH'].includes(code)
      ? code
      : undefined;
  }
}

/** What is in files was looked at by its rights: the server alone opens it. */
async function checkStore({ options, findings }: Scene): Promise<void> {
  const { store, storeBytes, storePrefix } = options;
  if (store?.kind !== 'redis') return;
  const silent = { notice: () => {}, warning: () => {} };
  const settings = {
    address: store,
    maxBytes: storeBytes,
    prefix: storePrefix,
    now: Date.now,
    sweeps: false,
  };
  const shared = new SharedStore(settings, silent);
  const where = 'path' in store.where ? store.where.path : `${store.where.host}:${store.where.port}`;
  const answer = await shared.list(Buffer.from('doctor'), undefined, {
    timeoutMs: PATIENCE_MS,
    cancelled: new AbortController().signal,
  });
  await shared.close();
  if (answer.kind === 'known') {
    findings.right('--store', `${where} answers`);
    return;
  }
  const ask =
    'path' in store.where ? `-s ${quoted(where)}` : `-h ${quoted(store.where.host)} -p ${store.where.port}`;
  findings.add({
    id: 'store-unreachable',
    severity: 'error',
    where: '--store',
    problem: `the store at ${where} does not answer: ${answer.reason}`,
    mend: [look(`redis-cli ${ask} ping`)],
  });
}

interface Scanner {
  readonly name: 'clamd' | 'spamd' | 'rspamd';
  /** Of systemd, in Debian. */
  readonly unit: string;
  readonly place: { readonly path: string } | { readonly host: string; readonly port: number };
}

function scannersOf({ clamd, spamd, rspamd }: Options): Scanner[] {
  const found: Scanner[] = [];
  if (clamd !== undefined) found.push({ name: 'clamd', unit: 'clamav-daemon', place: clamd });
  if (spamd !== undefined) found.push({ name: 'spamd', unit: 'spamd', place: spamd });
  if (rspamd !== undefined) {
    const { url, socketPath } = rspamd;
    const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    found.push({
      name: 'rspamd',
      unit: 'rspamd',
      place: socketPath === undefined ? { host, port } : { path: socketPath },
    });
  }
  return found;
}

async function checkScanner({ findings, runner }: Scene, { name, unit, place }: Scanner): Promise<void> {
  const where = `--${name}`;
  const shown = 'path' in place ? place.path : `${place.host}:${place.port}`;
  const reason = await silenceOf(place);
  if (reason !== undefined) {
    findings.add({
      id: 'scanner-unreachable',
      severity: 'error',
      where,
      problem: `nobody answers at ${shown}: ${reason}`,
      mend: [shell(`systemctl start ${unit}`)],
    });
    return;
  }
  const closed = 'path' in place ? closedTo(place.path, runner) : undefined;
  if (closed === undefined) {
    findings.right(where, `${shown} answers`);
    return;
  }
  const user = nameOf('passwd', runner.uid);
  findings.add({
    id: 'scanner-rights',
    severity: 'error',
    where,
    problem: `user ${user}, who runs the policy, may not use ${closed.at}`,
    mend: [
      shell(`usermod --append --groups ${quoted(nameOf('group', closed.gid))} ${quoted(user)}`),
      shell('systemctl restart smtpf-milter'),
    ],
  });
}

function closedTo(path: string, account: Account): { readonly at: string; readonly gid: number } | undefined {
  const obstacle = obstaclesTo(path, 'connect', { account, root: '/', cwd: '/' }).find(({ kind }) =>
    ['search', 'end'].includes(kind),
  );
  return obstacle?.stats && { at: obstacle.at, gid: obstacle.stats.gid };
}

/** Why nobody can be reached; undefined where somebody accepts a connection. */
function silenceOf(place: Scanner['place']): Promise<string | undefined> {
  const socket = 'path' in place ? connect(place.path) : connect(place.port, place.host);
  return new Promise((resolve) => {
    const end = (reason: string | undefined): void => {
      resolve(reason);
      socket.destroy();
    };
    socket.setTimeout(PATIENCE_MS, () => end('no answer'));
    socket.once('connect', () => end(undefined));
    socket.once('error', (error) => end(systemReason(error)));
  });
}
