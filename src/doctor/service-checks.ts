/** Whether what a policy asks can be reached: the DNS, the store in Redis, scanners, a smarthost, files. Nothing is written there. */
import { getServers, promises } from 'node:dns';
import { accessSync, constants } from 'node:fs';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { GeoFiles } from '../geo/geo.ts';
import { OwnAddresses } from '../mail-client/own-addresses.ts';
import { writtenPlace } from '../mail-client/smarthost-place.ts';
import { DialogueFailure, SmtpDialogue } from '../mail-client/smtp-dialogue.ts';
import type { Options } from '../options/option-table.ts';
import { SharedStore } from '../store/store.ts';
import { type Account, nameOf } from '../system/privileges.ts';
import { codeOf, systemReason } from '../text/operator-error.ts';
import { look, option, quoted, shell } from './finding.ts';
import { obstaclesTo } from './reach.ts';
import type { Scene } from './scene.ts';

const PATIENCE_MS = 5_000;
/** A large file is looked through. */
const GEO_MS = 30_000;

export async function checkServices(scene: Scene): Promise<void> {
  await Promise.all([
    checkDns(scene),
    checkStore(scene),
    ...scannersOf(scene.options).map((one) => checkScanner(scene, one)),
    checkSmarthost(scene),
    checkGeo(scene),
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

/** It is greeted, and asked what it offers; no mail is begun. */
async function checkSmarthost({ options, findings, addresses }: Scene): Promise<void> {
  const { smarthost, smarthostTls, ownAddress } = options;
  if (smarthost === undefined) return;
  const where = '--smarthost';
  const place = writtenPlace(smarthost);
  const listening = addresses.flatMap((address) => (address.kind === 'unix' ? [] : [address]));
  const own = new OwnAddresses(ownAddress, () => listening);
  if (own.has(smarthost.host, smarthost.port)) {
    findings.add({
      id: 'smarthost-own',
      severity: 'error',
      where,
      problem: `${place} is this server, an --own-address or where the milter listens: smtp.send hands nothing over there`,
      mend: [option('--smarthost with the port of a mail server')],
    });
    return;
  }
  const offered = await offerOf(smarthost, own);
  if ('silence' in offered) {
    findings.add({
      id: 'smarthost-unreachable',
      severity: 'error',
      where,
      problem: `smtp.send cannot hand mail to ${place}: ${offered.silence}`,
      mend: [look(`openssl s_client -starttls smtp -connect ${quoted(place)}`)],
    });
  } else if (smarthostTls === 'verify' && !offered.startTls) {
    findings.add({
      id: 'smarthost-tls',
      severity: 'error',
      where: '--smarthost-tls verify',
      problem: `${place} offers no STARTTLS: smtp.send hands nothing over there`,
      mend: [option('--smarthost with a port that offers STARTTLS, or --smarthost-tls may')],
    });
  } else findings.right(where, `${place} answers`);
}

async function offerOf(
  { host, port }: NonNullable<Options['smarthost']>,
  own: OwnAddresses,
): Promise<{ readonly startTls: boolean } | { readonly silence: string }> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(new DialogueFailure('timeout', 'no answer')), PATIENCE_MS);
  const dialogue = SmtpDialogue.open(host, port, own.lookup(port), over.signal);
  try {
    const greeting = await dialogue.reply();
    const hello = greeting.code === 220 ? await dialogue.say(`EHLO ${hostname()}`) : greeting;
    const text = hello.text.split('\n');
    if (hello.code !== 250) return { silence: `it says ${hello.code} ${text.join(' ')}` };
    await dialogue.say('QUIT').catch(() => {});
    return { startTls: text.some((line) => /^STARTTLS\b/i.test(line)) };
  } catch (error) {
    if (error instanceof DialogueFailure) return { silence: error.message };
    throw error;
  } finally {
    clearTimeout(timer);
    dialogue.close();
  }
}

/** What is in files that can be read; their rights were looked at with those of other files. */
async function checkGeo({ options, findings }: Scene): Promise<void> {
  const files = new GeoFiles(options.geo.filter(canRead), { notice: () => {}, warning: () => {} });
  await files.query('country', '192.0.2.1', {
    timeoutMs: GEO_MS,
    cancelled: new AbortController().signal,
  });
  for (const { path, type, builtAt, problem } of files.states) {
    if (type !== undefined && builtAt !== undefined && problem === undefined) {
      findings.right('--geo', `${path}: ${type} of ${new Date(builtAt).toISOString().slice(0, 10)}`);
      continue;
    }
    findings.add({
      id: 'geo-unusable',
      severity: 'error',
      where: '--geo',
      problem: problem ?? `${path}: is not read in ${GEO_MS / 1000} s`,
      mend: [look(`mmdbinspect ${quoted(path)}`)],
    });
  }
}

function canRead(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
