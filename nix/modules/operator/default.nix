# Who may log in: root for the stack's steps, nix-bitcoin's operator for a person, both by the stack's keys. Nobody has a password.
{ config, lib, ... }:
let
  cfg = config.holdfast.operator;
  inherit (config.nix-bitcoin.operator) name;
in
{
  options.holdfast.operator = {
    enable = lib.mkEnableOption "the operator's account, and accounts without passwords";
    authorizedKeys = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = config.holdfast.agent.settings.authorizedKeys;
      defaultText = lib.literalExpression "config.holdfast.agent.settings.authorizedKeys";
      description = "OpenSSH public key lines that may log in as root and as the operator.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.authorizedKeys != [ ];
        message = ''
          holdfast.operator.authorizedKeys is empty, and no account has a password: no later deployment would reach this node.
          Name the deploy machine's public key in `access.authorizedKeys` of the stack's configuration.
        '';
      }
      {
        assertion = config.security.doas.enable && !config.security.sudo.enable;
        message = ''
          nix-bitcoin writes the operator's rights for doas or for sudo, and holdfast.operator knows doas alone; security.${
            if config.security.sudo.enable then "sudo.enable is on" else "doas.enable is off"
          }.
          Leave both as the preset secure-node has them.
        '';
      }
      {
        assertion = lib.all (
          user:
          user.password == null
          && user.hashedPasswordFile == null
          && user.initialHashedPassword == null
          && lib.elem user.hashedPassword [
            null
            "!"
          ]
        ) (lib.attrValues config.users.users);
        message = ''
          An account has a password: ${
            lib.concatStringsSep ", " (
              lib.attrNames (
                lib.filterAttrs (
                  _: user:
                  user.password != null
                  || user.hashedPasswordFile != null
                  || user.initialHashedPassword != null
                  || !lib.elem user.hashedPassword [
                    null
                    "!"
                  ]
                ) config.users.users
              )
            )
          }. A password in a configuration is in the Nix store, for everyone to read.
          Take it out, and log in with a key.
        '';
      }
    ];

    nix-bitcoin.operator.enable = true;
    security.doas.enable = true;
    security.sudo.enable = false;

    users.mutableUsers = false;
    users.users = {
      root = {
        openssh.authorizedKeys.keys = cfg.authorizedKeys;
        hashedPassword = "!";
      };
      ${name} = {
        # secure-node gives it root's, which are the same.
        openssh.authorizedKeys.keys = lib.mkForce cfg.authorizedKeys;
        hashedPassword = "!";
      };
    };
  };
}
