/** Whether a server runs and filters. */
import { isFiltering, type Status } from '../control/status.ts';
import { formatListenAddress } from '../net/listen-address.ts';
import { consequenceOf } from '../policy/failure.ts';
import { look, quoted, shell } from './finding.ts';
import { probe, type Scene } from './scene.ts';

/**
 * Where no server has answered. To be looked at after what a start needs: a line that starts it stands behind those that
 * let it start.
 * @param silence why none has, as the control socket's client says it
 */
export async function checkSilence(scene: Scene, silence: string | undefined): Promise<void> {
  const { findings, addresses, policy } = scene;
  if (policy.problem !== undefined)
    findings.add({
      id: 'policy-broken',
      severity: 'error',
      where: policy.path,
      problem: `the policy cannot run: ${oneLine(policy.problem)}`,
      mend: [lookAt(policy.path)],
    });
  const seen = await Promise.all(
    addresses.map((address) =>
      probe(
        address.kind === 'unix'
          ? { kind: 'unix', path: address.path }
          : { kind: 'inet', host: address.address, port: address.port },
      ),
    ),
  );
  const places = addresses.map(formatListenAddress).join(', ');
  if (seen.includes('milter'))
    findings.note('server', `a milter answers at ${places}, and its state cannot be asked: ${silence}`);
  else if (seen.includes('unknown'))
    findings.note(
      'server',
      `whether a milter listens on ${places} cannot be seen from here: run doctor as root`,
    );
  else
    findings.add({
      id: 'server-down',
      severity: 'error',
      where: 'server',
      problem: `no milter listens on ${places}: ${silence}`,
      mend: [shell('systemctl start smtpf-milter'), look('journalctl -u smtpf-milter -n 20')],
    });
}

export function checkServer({ findings }: Scene, { script, workers, version, pid, listening }: Status): void {
  const tell = lookAt(script.path);
  findings.right('server', `version ${version}, process ${pid}, listens on ${listening.join(', ')}`);
  if (!isFiltering(script))
    findings.add({
      id: 'policy-broken',
      severity: 'error',
      where: script.path,
      problem:
        script.problem === undefined
          ? 'the policy that is served defines no callback: mail passes unfiltered'
          : `the policy cannot run, and ${consequenceOf(script.onError)}: ${oneLine(script.problem)}`,
      mend: [tell],
    });
  else if (script.problem !== undefined)
    findings.add({
      id: 'policy-outdated',
      severity: 'warning',
      where: script.path,
      problem: `${script.unproven ? 'the policy was refused (--on-reload), and is served as there was none before it' : 'an older version of the policy is served, as the file is not taken'}: ${oneLine(script.problem)}`,
      mend: [tell],
    });
  else findings.right(script.path, `served as ${script.hash}, callbacks: ${script.callbacks.join(' ')}`);
  if (workers.some(({ memoryShort }) => memoryShort))
    findings.add({
      id: 'server-memory',
      severity: 'error',
      where: 'server',
      problem: 'a worker is short of memory and defers new messages',
      mend: [shell('systemctl restart smtpf-milter')],
    });
}

const lookAt = (policy: string) => look(`smtpf-milter check ${quoted(policy)}`);

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' / ');
}
