# Takes every definition of an option that does not exist, and remembers its name and its file.
{ lib, ... }:
let
  # Definitions arrive as nests of one attribute each; a condition or a value ends the name.
  path =
    value:
    if
      builtins.isAttrs value && !(value ? _type) && builtins.length (builtins.attrNames value) == 1
    then
      let
        name = builtins.head (builtins.attrNames value);
      in
      [ name ] ++ path value.${name}
    else
      [ ];
in
{
  _module.freeformType = lib.mkOptionType {
    name = "undeclared";
    merge = _: definitions: {
      undeclaredDefinitions = map (definition: {
        option = lib.showOption (path definition.value);
        file = toString definition.file;
      }) definitions;
    };
  };
}
