# A system as NixOS lays one out: everything that activating it needs is below one store path.
{ text, programs }:
{
  name,
  units,
  # Absent in the base, which is the bare machine.
  base ? null,
  settings ? null,
  handover ? null,
}:
let
  switch = "${./switch-to-configuration.mts}";
  each = f: attributes: builtins.attrValues (builtins.mapAttrs f attributes);
  link = target: path: ''mkdir -p "$out/${dirOf path}"; ln -s ${target} "$out/${path}"'';

  unitLinks = unit: data: [
    # A copy: systemd wants a file that a link leads to to bear the unit's name.
    "cp ${text.unit unit data} $out/etc/systemd/system/${unit}"
    (map (by: link "../${unit}" "etc/systemd/system/${by}.wants/${unit}") (data.wantedBy or [ ]))
    (map (by: link "../${unit}" "etc/systemd/system/${by}.requires/${unit}") (data.requiredBy or [ ]))
  ];

  flatten = value: if builtins.isList value then builtins.concatMap flatten value else [ value ];

  authorizedKeys = text.write "authorized_keys" (text.lines settings.authorizedKeys + "\n");
  settingsFile = builtins.path {
    name = "settings.json";
    path = "${handover}/settings.json";
  };

  ofNode = [
    (link settingsFile "etc/holdfast/settings.json")
    (link authorizedKeys "etc/ssh/authorized_keys")
    (link base "base")
    (link "${programs.agent}/bin/holdfast-agent" "sw/bin/holdfast-agent")
    (
      if settings ? bunker then
        link "${programs.bunker}/bin/holdfast-bunker" "sw/bin/holdfast-bunker"
      else
        [ ]
    )
    (map (program: link "${programs.lnd}/bin/${program}" "sw/bin/${program}") [
      "lnd"
      "lncli"
    ])
    (map (program: link "${programs.btcd}/bin/${program}" "sw/bin/${program}") [
      "btcd"
      "btcctl"
    ])
  ];
in
text.run "rehearsal-${name}" ''
  mkdir -p "$out/bin" "$out/etc/systemd/system"
  ${text.lines (flatten (each unitLinks units))}
  ${if settings == null then "" else text.lines (flatten ofNode)}
  ${link "${programs.node}/bin/node" "sw/bin/node"}
  echo 1 > "$out/rehearsal-version"

  cat > "$out/activate" <<END
  #!/usr/bin/bash
  exec /usr/bin/bash ${./activate.sh} $out
  END
  cat > "$out/bin/switch-to-configuration" <<END
  #!/usr/bin/bash
  export PATH=/usr/sbin:/usr/bin
  mkdir -p /run/rehearsal
  exec 9> /run/rehearsal/switch.lock
  flock --nonblock 9 || { echo "switch-to-configuration: another one is at work (/run/rehearsal/switch.lock). Wait until it has ended." >&2; exit 1; }
  exec ${programs.node}/bin/node --no-warnings ${switch} $out "\$@"
  END
  cat > "$out/boot" <<END
  #!/usr/bin/bash
  exec $out/bin/switch-to-configuration start-at-boot
  END
  chmod 555 "$out/activate" "$out/boot" "$out/bin/switch-to-configuration"
'' { }
