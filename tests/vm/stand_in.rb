# Stands in for Vagrant: evaluates a Vagrantfile and prints all that it sets, as JSON.
#
#   ruby stand_in.rb VAGRANTFILE [kvm]     `kvm`: as if this computer had it

require "json"

# Takes any setting (`box = ...`), list entry (`network ...`) and block (`provider NAME do |p|`).
class Recorder
  attr_reader :told

  def initialize
    @told = {}
    @parts = {}
  end

  def method_missing(name, *values, **options, &block)
    key = name.to_s
    if key.end_with?("=")
      @told[key.chomp("=")] = values.first
    elsif block
      part = Recorder.new
      block.call(part)
      (@told[key] ||= {})[values.first] = part.told
    elsif values.empty?
      @parts[key] ||= Recorder.new.tap { |part| @told[key] = part.told }
    else
      (@told[key] ||= []) << [*values, options]
    end
  end

  def respond_to_missing?(*) = true
end

module Vagrant
  def self.configure(_version)
    recorder = Recorder.new
    yield recorder
    puts JSON.generate(recorder.told)
  end
end

has_kvm = ARGV[1] == "kvm"
File.singleton_class.prepend(Module.new do
  define_method(:exist?) { |path| path == "/dev/kvm" ? has_kvm : super(path) }
end)
load ARGV[0]
