// walk leads one server through its whole life by Hetzner's own client library, against any endpoint, and says what it saw. It reads the token on stdin.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

var (
	ctx    context.Context
	client *hcloud.Client
	seen   []string
)

func must[T any](value T, _ *hcloud.Response, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "after %s: %s\n", strings.Join(seen, ", "), fmt.Sprintf(format, arguments...))
	os.Exit(1)
}

func saw(step string, holds bool, got any) {
	if !holds {
		fail("%s does not hold: %+v", step, got)
	}
	seen = append(seen, step)
}

func wait(actions ...*hcloud.Action) { check(client.Action.WaitFor(ctx, actions...)) }

func refused(step string, err error, code hcloud.ErrorCode) {
	saw(step, hcloud.IsError(err, code), err)
}

func server(id int64) *hcloud.Server { return must(client.Server.GetByID(ctx, id)) }

func main() {
	line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	var cancel context.CancelFunc
	ctx, cancel = context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	client = hcloud.NewClient(
		hcloud.WithEndpoint(os.Args[1]), hcloud.WithToken(strings.TrimSpace(line)),
		hcloud.WithPollOpts(hcloud.PollOpts{BackoffFunc: hcloud.ConstantBackoff(20 * time.Millisecond)}),
		hcloud.WithRetryOpts(hcloud.RetryOpts{BackoffFunc: hcloud.ConstantBackoff(20 * time.Millisecond), MaxRetries: 5}),
	)
	location := &hcloud.Location{Name: "fsn1"}
	labels := map[string]string{"holdfast/node": "a"}

	catalogue()
	key, _, err := client.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{Name: "operator", PublicKey: os.Args[2], Labels: labels})
	check(err)
	saw("an SSH key is found by its fingerprint", must(client.SSHKey.GetByFingerprint(ctx, key.Fingerprint)).ID == key.ID, key)
	_, _, err = client.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{Name: "other", PublicKey: os.Args[2]})
	refused("the same key twice", err, hcloud.ErrorCodeUniquenessError)

	address := primaryIP("address-4", hcloud.PrimaryIPTypeIPv4)
	network6 := primaryIP("address-6", hcloud.PrimaryIPTypeIPv6)
	saw("an IPv6 address is a /64", network6.Network != nil && network6.IP != nil, network6)
	volumeResult := must(client.Volume.Create(ctx, hcloud.VolumeCreateOpts{Name: "data", Size: 10, Location: location, Labels: labels}))
	wait(volumeResult.Action)
	volume := volumeResult.Volume
	group := must(client.PlacementGroup.Create(ctx, hcloud.PlacementGroupCreateOpts{Name: "spread", Type: hcloud.PlacementGroupTypeSpread})).PlacementGroup
	network, subnet := privateNetwork()
	everyone := []net.IPNet{{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}, {IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}}
	wall := must(client.Firewall.Create(ctx, hcloud.FirewallCreateOpts{Name: "deny-all", Labels: labels}))
	wait(wall.Actions...)
	open := must(client.Firewall.Create(ctx, hcloud.FirewallCreateOpts{Name: "ssh", Rules: []hcloud.FirewallRule{
		{Direction: hcloud.FirewallRuleDirectionIn, Protocol: hcloud.FirewallRuleProtocolTCP, Port: hcloud.Ptr("22"), SourceIPs: everyone, Description: hcloud.Ptr("ssh")},
	}}))
	wait(open.Actions...)

	serverType := must(client.ServerType.GetByName(ctx, "cx23"))
	image := must(client.Image.GetByNameAndArchitecture(ctx, "debian-13", serverType.Architecture))
	options := hcloud.ServerCreateOpts{
		Name: "node-a", ServerType: serverType, Image: image, Location: location, SSHKeys: []*hcloud.SSHKey{key}, UserData: "#cloud-config\n", Labels: labels, PlacementGroup: group,
		Firewalls: []*hcloud.ServerCreateFirewall{{Firewall: *wall.Firewall}}, Networks: []*hcloud.Network{network}, Volumes: []*hcloud.Volume{volume},
		PublicNet: &hcloud.ServerCreatePublicNet{EnableIPv4: true, EnableIPv6: true, IPv4: address, IPv6: network6},
	}
	created := must(client.Server.Create(ctx, options))
	_, _, err = client.Server.Poweroff(ctx, created.Server)
	refused("a server that is being made is locked", err, hcloud.ErrorCodeLocked)
	wait(append(created.NextActions, created.Action)...)
	id := created.Server.ID
	one := server(id)
	saw("it runs", one.Status == hcloud.ServerStatusRunning && !one.Locked, one)
	saw("it has its address", one.PublicNet.IPv4.IP.Equal(address.IP) && one.PublicNet.IPv4.ID == address.ID && one.PublicNet.IPv6.ID == network6.ID, one.PublicNet)
	saw("it has its firewall, volume, network and group", len(one.PublicNet.Firewalls) == 1 && len(one.Volumes) == 1 && len(one.PrivateNet) == 1 && subnet.Contains(one.PrivateNet[0].IP) && one.PlacementGroup.ID == group.ID, one)
	saw("it says where it is, and no data centre", one.Location.Name == "fsn1" && one.Image.Name == "debian-13" && one.ServerType.Name == "cx23", one)
	_, _, err = client.Server.Create(ctx, hcloud.ServerCreateOpts{Name: "node-a", ServerType: serverType, Image: image, Location: location})
	refused("its name twice", err, hcloud.ErrorCodeUniquenessError)
	_, _, err = client.Server.Create(ctx, hcloud.ServerCreateOpts{Name: "node-b", ServerType: serverType, Image: image, Location: location, PublicNet: &hcloud.ServerCreatePublicNet{EnableIPv4: true, IPv4: address}})
	refused("its address twice", err, hcloud.ErrorCodePrimaryIPAssigned)

	found, err := client.Server.AllWithOpts(ctx, hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "holdfast/node=a"}, Status: []hcloud.ServerStatus{hcloud.ServerStatusRunning}})
	check(err)
	saw("it is found by its label", len(found) == 1 && found[0].ID == id, found)
	saw("it is found by its name", must(client.Server.GetByName(ctx, "node-a")).ID == id, id)
	renamed := must(client.Server.Update(ctx, one, hcloud.ServerUpdateOpts{Name: "node-c", Labels: map[string]string{"holdfast/node": "c"}}))
	saw("it is renamed", renamed.Name == "node-c" && renamed.Labels["holdfast/node"] == "c", renamed)

	firewalls(open.Firewall, one)
	volumes(volume, one)
	protections(one, volume, address)
	powers(one, image, key, serverType)
	addresses(one, address)

	deleted := must(client.Server.DeleteWithResult(ctx, one))
	wait(deleted.Action)
	saw("it is gone", server(id) == nil, id)
	saw("its address stays", must(client.PrimaryIP.GetByID(ctx, address.ID)).AssigneeID == 0, address)
	saw("its volume stays", must(client.Volume.GetByID(ctx, volume.ID)).Server == nil, volume)
	clean(key, wall.Firewall, open.Firewall, volume, group, network, address, network6)
	pages()
	check(json.NewEncoder(os.Stdout).Encode(seen))
}

func catalogue() {
	saw("locations are listed", len(must(client.Location.List(ctx, hcloud.LocationListOpts{}))) >= 4, nil)
	saw("a location is found by name", must(client.Location.GetByName(ctx, "hel1")).NetworkZone == hcloud.NetworkZoneEUCentral, nil)
	saw("what is not there is nothing", must(client.ServerType.GetByName(ctx, "nothing")) == nil && server(17) == nil, nil)
	_, err := client.Datacenter.All(ctx)
	refused("data centres are gone", err, hcloud.ErrorDeprecatedAPIEndpoint)
}

func primaryIP(name string, kind hcloud.PrimaryIPType) *hcloud.PrimaryIP {
	result := must(client.PrimaryIP.Create(ctx, hcloud.PrimaryIPCreateOpts{Name: name, Type: kind, AssigneeType: "server", AutoDelete: hcloud.Ptr(false), Location: "fsn1"}))
	if result.Action != nil {
		wait(result.Action)
	}
	return result.PrimaryIP
}

func privateNetwork() (*hcloud.Network, *net.IPNet) {
	_, all, _ := net.ParseCIDR("10.0.0.0/16")
	_, part, _ := net.ParseCIDR("10.0.1.0/24")
	network := must(client.Network.Create(ctx, hcloud.NetworkCreateOpts{Name: "private", IPRange: all}))
	wait(must(client.Network.AddSubnet(ctx, network, hcloud.NetworkAddSubnetOpts{Subnet: hcloud.NetworkSubnet{Type: hcloud.NetworkSubnetTypeCloud, IPRange: part, NetworkZone: hcloud.NetworkZoneEUCentral}})))
	read := must(client.Network.GetByID(ctx, network.ID))
	saw("a network has its subnet", len(read.Subnets) == 1 && read.Subnets[0].IPRange.String() == "10.0.1.0/24", read)
	return read, part
}

func firewalls(open *hcloud.Firewall, one *hcloud.Server) {
	resource := []hcloud.FirewallResource{{Type: hcloud.FirewallResourceTypeServer, Server: &hcloud.FirewallResourceServer{ID: one.ID}}}
	wait(must(client.Firewall.ApplyResources(ctx, open, resource))...)
	_, _, err := client.Firewall.ApplyResources(ctx, open, resource)
	refused("a firewall twice", err, hcloud.ErrorCodeFirewallAlreadyApplied)
	_, err = client.Firewall.Delete(ctx, open)
	refused("a firewall in use", err, hcloud.ErrorCodeResourceInUse)
	read := must(client.Firewall.GetByID(ctx, open.ID))
	saw("a firewall knows its server", len(read.AppliedTo) == 1 && read.AppliedTo[0].Server.ID == one.ID && *read.Rules[0].Port == "22", read)
	wait(must(client.Firewall.SetRules(ctx, open, hcloud.FirewallSetRulesOpts{Rules: []hcloud.FirewallRule{}}))...)
	wait(must(client.Firewall.RemoveResources(ctx, open, resource))...)
	saw("it is taken off", len(must(client.Firewall.GetByID(ctx, open.ID)).AppliedTo) == 0, nil)
}

func volumes(volume *hcloud.Volume, one *hcloud.Server) {
	_, err := client.Volume.Delete(ctx, volume)
	saw("an attached volume is not deleted", err != nil, err)
	wait(must(client.Volume.Detach(ctx, volume)))
	wait(must(client.Volume.Resize(ctx, volume, 20)))
	wait(must(client.Volume.Attach(ctx, volume, one)))
	read := must(client.Volume.GetByID(ctx, volume.ID))
	saw("a volume is detached, made larger and attached", read.Size == 20 && read.Server.ID == one.ID && strings.HasSuffix(read.LinuxDevice, fmt.Sprint(volume.ID)), read)
}

func protections(one *hcloud.Server, volume *hcloud.Volume, address *hcloud.PrimaryIP) {
	set := func(to bool) {
		wait(must(client.Server.ChangeProtection(ctx, one, hcloud.ServerChangeProtectionOpts{Delete: &to, Rebuild: &to})))
		wait(must(client.Volume.ChangeProtection(ctx, volume, hcloud.VolumeChangeProtectionOpts{Delete: &to})))
		wait(must(client.PrimaryIP.ChangeProtection(ctx, hcloud.PrimaryIPChangeProtectionOpts{ID: address.ID, Delete: to})))
	}
	set(true)
	_, _, err := client.Server.DeleteWithResult(ctx, one)
	refused("a protected server", err, hcloud.ErrorCodeProtected)
	_, _, err = client.Server.RebuildWithResult(ctx, one, hcloud.ServerRebuildOpts{Image: one.Image})
	refused("a protected server's rebuild", err, hcloud.ErrorCodeProtected)
	_, err = client.Volume.Delete(ctx, volume)
	refused("a protected volume", err, hcloud.ErrorCodeProtected)
	_, err = client.PrimaryIP.Delete(ctx, address)
	refused("a protected address", err, hcloud.ErrorCodeProtected)
	set(false)
}

func powers(one *hcloud.Server, image *hcloud.Image, key *hcloud.SSHKey, serverType *hcloud.ServerType) {
	wait(must(client.Server.Reboot(ctx, one)))
	wait(must(client.Server.Reset(ctx, one)))
	rescue := must(client.Server.EnableRescue(ctx, one, hcloud.ServerEnableRescueOpts{Type: hcloud.ServerRescueTypeLinux64, SSHKeys: []*hcloud.SSHKey{key}}))
	wait(rescue.Action)
	saw("rescue waits", server(one.ID).RescueEnabled, nil)
	wait(must(client.Server.Reset(ctx, one)))
	saw("rescue is for one boot", !server(one.ID).RescueEnabled, nil)
	wait(must(client.Server.RebuildWithResult(ctx, one, hcloud.ServerRebuildOpts{Image: image})).Action)
	_, _, err := client.Server.ChangeType(ctx, one, hcloud.ServerChangeTypeOpts{ServerType: serverType, UpgradeDisk: true})
	refused("another type of a running server", err, hcloud.ErrorCodeServerNotStopped)
	wait(must(client.Server.Poweroff(ctx, one)))
	wait(must(client.Server.ChangeType(ctx, one, hcloud.ServerChangeTypeOpts{ServerType: &hcloud.ServerType{Name: "cx33"}, UpgradeDisk: false})))
	saw("it has another type", server(one.ID).ServerType.Name == "cx33" && server(one.ID).PrimaryDiskSize == 40, server(one.ID))
	wait(must(client.Server.RemoveFromPlacementGroup(ctx, one)))
	wait(must(client.Server.Poweron(ctx, one)))
	wait(must(client.Server.Shutdown(ctx, one)))
	for try := 0; server(one.ID).Status != hcloud.ServerStatusOff && try < 100; try++ {
		time.Sleep(100 * time.Millisecond)
	}
	saw("it shuts down", server(one.ID).Status == hcloud.ServerStatusOff, server(one.ID).Status)
}

func addresses(one *hcloud.Server, address *hcloud.PrimaryIP) {
	wait(must(client.RDNS.ChangeDNSPtr(ctx, address, address.IP, hcloud.Ptr("node.example.com"))))
	_, err := client.PrimaryIP.Delete(ctx, address)
	saw("an assigned address is not deleted", err != nil, err)
	wait(must(client.PrimaryIP.Unassign(ctx, address.ID)))
	saw("it has no IPv4 address", server(one.ID).PublicNet.IPv4.IsUnspecified(), server(one.ID).PublicNet)
	wait(must(client.PrimaryIP.Assign(ctx, hcloud.PrimaryIPAssignOpts{ID: address.ID, AssigneeID: one.ID, AssigneeType: "server"})))
	wait(must(client.Server.Poweron(ctx, one)))
	_, _, err = client.PrimaryIP.Unassign(ctx, address.ID)
	refused("an address of a running server", err, hcloud.ErrorCodeServerNotStopped)
}

func clean(key *hcloud.SSHKey, wall, open *hcloud.Firewall, volume *hcloud.Volume, group *hcloud.PlacementGroup, network *hcloud.Network, ips ...*hcloud.PrimaryIP) {
	for _, one := range []func() (*hcloud.Response, error){
		func() (*hcloud.Response, error) { return client.SSHKey.Delete(ctx, key) },
		func() (*hcloud.Response, error) { return client.Firewall.Delete(ctx, wall) },
		func() (*hcloud.Response, error) { return client.Firewall.Delete(ctx, open) },
		func() (*hcloud.Response, error) { return client.Volume.Delete(ctx, volume) },
		func() (*hcloud.Response, error) { return client.PlacementGroup.Delete(ctx, group) },
		func() (*hcloud.Response, error) { return client.Network.Delete(ctx, network) },
	} {
		_, err := one()
		check(err)
	}
	for _, ip := range ips {
		_, err := client.PrimaryIP.Delete(ctx, ip)
		check(err)
	}
}

func pages() {
	for number := range 50 {
		must(client.PlacementGroup.Create(ctx, hcloud.PlacementGroupCreateOpts{Name: fmt.Sprintf("group-%02d", number), Type: hcloud.PlacementGroupTypeSpread}))
	}
	_, _, err := client.PlacementGroup.Create(ctx, hcloud.PlacementGroupCreateOpts{Name: "one-more", Type: hcloud.PlacementGroupTypeSpread})
	refused("more than a project may have", err, hcloud.ErrorCodeResourceLimitExceeded)
	all, err := client.PlacementGroup.AllWithOpts(ctx, hcloud.PlacementGroupListOpts{ListOpts: hcloud.ListOpts{PerPage: 20}, Sort: []string{"name:desc"}})
	check(err)
	saw("all pages are read", len(all) == 50 && all[0].Name == "group-49", len(all))
	for _, one := range all {
		_, err := client.PlacementGroup.Delete(ctx, one)
		check(err)
	}
}
