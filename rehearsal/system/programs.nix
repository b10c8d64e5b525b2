# The programs of a system, copied from the deploy machine's folder at /opt/rehearsal into the store.
# Evaluation cannot look into that folder; what it knows is the version that go.mod (and programs.json) pins. The version is in the name, so a new pin is a new
# store path, and the builder refuses a folder that holds another version: one path can only ever be one program.
{ text, handover }:
let
  folder = "/opt/rehearsal";

  pinned =
    file: module:
    let
      pin =
        line:
        if builtins.isString line then
          builtins.match "[[:space:]]*(require )?${module} v([^ ]+).*" line
        else
          null;
      found = builtins.filter (match: match != null) (
        map pin (builtins.split "\n" (builtins.readFile file))
      );
    in
    builtins.elemAt (builtins.head found) 1;

  copy =
    name: version: files:
    text.run "${name}-${version}" ''
      grep -qF '"${name}":"${version}"' ${folder}/versions.json || {
        echo "${name} ${version} is wanted, and ${folder}/versions.json says: $(cat ${folder}/versions.json). Start the machine again with the deploy machine's present folder." >&2
        exit 1
      }
      mkdir -p "$out/bin"
      for file in ${toString files}; do cp "${folder}/$file" "$out/bin/"; done
      chmod -R 555 "$out"
    '' { };
in
rec {
  lnd = copy "lnd" (pinned ./daemons/lnd/go.mod "github.com/lightningnetwork/lnd") [
    "lnd"
    "lncli"
  ];
  btcd = copy "btcd" (pinned ./daemons/btcd/go.mod "github.com/btcsuite/btcd") [
    "btcd"
    "btcctl"
  ];
  node = copy "node" (builtins.fromJSON (builtins.readFile ./programs.json)).node [ "node" ];

  # Its path depends on the program alone, and not on the settings that came with it.
  agentProgram = builtins.path {
    name = "agent.mjs";
    path = "${handover}/agent.mjs";
  };
  agent = wrapped "holdfast-agent" agentProgram;

  # Handed over for nodes that have one.
  bunker = wrapped "holdfast-bunker" (
    builtins.path {
      name = "bunker.mjs";
      path = "${handover}/bunker.mjs";
    }
  );

  wrapped =
    name: program:
    text.run name ''
      mkdir -p "$out/bin"
      cp ${text.script "${name}-wrapper" ''
        exec ${node}/bin/node ${program} "$@"
      ''} "$out/bin/${name}"
    '' { };
}
